// Contrast simulator: what a sequence and its times make of the tissues of one head.

/** What there is of a tissue's magnetisation right after the pulse. */
const AFTER_PULSE = {
  "spin echo": (tissue, { tr }) => 1 - Math.exp(-tr / tissue.t1),
  "gradient echo": (tissue, { tr, flip_angle }) => {
    const alpha = (flip_angle * Math.PI) / 180;
    const e1 = Math.exp(-tr / tissue.t1);
    return (Math.sin(alpha) * (1 - e1)) / (1 - e1 * Math.cos(alpha));
  },
  "inversion recovery": (tissue, { tr, ti }) =>
    Math.abs(1 - 2 * Math.exp(-ti / tissue.t1) + Math.exp(-tr / tissue.t1)),
};
/** What is left of it at the echo. */
const AT_ECHO = {
  "spin echo": (tissue, { te }) => Math.exp(-te / tissue.t2),
  "gradient echo": (tissue, { te }) => Math.exp(-te / tissue.t2_star),
  "inversion recovery": (tissue, { te }) => Math.exp(-te / tissue.t2),
};
const afterPulse = (tissue, sequence, settings) =>
  tissue.pd * AFTER_PULSE[sequence](tissue, settings);
const signal = (tissue, sequence, settings) =>
  afterPulse(tissue, sequence, settings) * AT_ECHO[sequence](tissue, settings);

const SETTINGS = {
  tr: { name: "TR", unit: " ms" },
  te: { name: "TE", unit: " ms" },
  ti: { name: "TI", unit: " ms" },
  flip_angle: { name: "flip angle", unit: "°" },
};
const BRAIN = ["CSF", "grey matter", "white matter"]; // the tissues with curves
const DASHES = ["", "6 3", "2 3"];

start("contrast", async ({ sheet, tissues, sequences, presets, pair }) => {
  const names = Object.keys(tissues);
  const [first] = Object.keys(presets); // the contrast that the others are compared with
  const values = await greyValues(sheet);
  const count = values.length / names.length; // points of the map
  const shareOf = (t, k) => values[t * count + k] / 255;
  const inHead = Array.from({ length: Math.floor(count / 3) }, (_, k) => 3 * k).filter((k) =>
    names.some((_, t) => shareOf(t, k) > 0.05),
  );

  /** The grey of each tissue and of each point, 1 for the brightest tissue, and its signal. */
  const greys = (sequence, settings) => {
    const signals = names.map((name) => signal(tissues[name], sequence, settings));
    const brightest = Math.max(...signals);
    const relative = signals.map((one) => one / brightest);
    const points = new Float32Array(count);
    relative.forEach((grey, t) => {
      for (let k = 0; k < count; k += 1) points[k] += grey * shareOf(t, k);
    });
    return { relative, points, brightest };
  };
  const before = greys(presets[first].sequence, presets[first]);

  const canvas = picture("the head with these settings", Math.sqrt(count));
  const words = element("div", { role: "status", class: "panel" });
  const [bars, recovery, decay, comparison] = Array.from({ length: 4 }, () =>
    element("div", { class: "panel" }),
  );
  const moved = () => {
    limit();
    draw();
  };
  const sequence = choice("sequence", Object.keys(sequences), moved);
  const sliders = Object.fromEntries(
    Object.entries(SETTINGS).map(([key, { name, unit }]) => [
      key,
      slider(name, (value) => `${value}${unit}`, moved),
    ]),
  );
  const buttons = Object.entries(presets).map(([name, preset]) =>
    button(name, () => {
      sequence.value = preset.sequence;
      limit(preset);
      draw();
    }),
  );

  /** Give the sliders the limits of the sequence, and the settings that are asked for. */
  const limit = (asked = {}) => {
    const limits = sequences[sequence.value];
    for (const [key, one] of Object.entries(sliders)) {
      one.hidden = !(key in limits);
      if (one.hidden) continue;
      const [min, max, step] = limits[key];
      one.set({ min, max, step });
      if (key in asked) one.set({ value: asked[key] });
    }
    // The echo, and the pulse after an inversion, come before all begins again.
    const end = sliders.tr.value;
    sliders.te.set({ max: Math.min(limits.te[1], end - limits.te[0]) });
    if (limits.ti) sliders.ti.set({ max: Math.min(limits.ti[1], end - sliders.te.value) });
  };

  const draw = () => {
    const kind = sequence.value;
    const limits = sequences[kind];
    const settings = Object.fromEntries(
      Object.keys(limits).map((key) => [key, sliders[key].value]),
    );
    const now = greys(kind, settings);

    for (const one of buttons) {
      const { sequence: other, ...asked } = presets[one.textContent];
      const same = Object.keys(asked).every((key) => asked[key] === settings[key]);
      one.setAttribute("aria-pressed", other === kind && same);
    }
    paint(canvas, (k) => Array(3).fill(255 * now.points[k]));
    bars.replaceChildren(barChart("signal of each tissue", names, now.relative));

    const curves = (key, end, f) =>
      BRAIN.map((name, c) => ({
        name,
        colour: COLOURS[c],
        dash: DASHES[c],
        points: Array.from({ length: 121 }, (_, k) => {
          const time = (k * end) / 120;
          return [time, f(tissues[name], kind, { ...settings, [key]: time })];
        }),
      }));
    const axis = (key, end) => ({
      low: 0,
      high: end,
      ticks: [0, end / 2, end],
      label: `${SETTINGS[key].name} (ms)`,
    });
    // The second chart begins, at TE = 0, with what the first one shows at its marker.
    const wait = limits.ti ? "ti" : "tr";
    const [[, longestWait], [, longestEcho]] = [limits[wait], limits.te];
    const rising = curves(wait, longestWait, afterPulse);
    const y = upTo(Math.max(...rising.flatMap(({ points }) => points.map(([, value]) => value))));
    recovery.replaceChildren(
      chart({
        title: "signal right after the pulse",
        x: axis(wait, longestWait),
        y,
        lines: rising,
        marker: settings[wait],
      }),
    );
    decay.replaceChildren(
      chart({
        title: "signal later, until the echo",
        x: axis("te", longestEcho),
        y,
        lines: curves("te", longestEcho, signal),
        marker: settings.te,
      }),
    );
    comparison.replaceChildren(
      chart({
        title: `grey now, by grey in ${first}`,
        x: { ...upTo(1), label: `grey in ${first}` },
        y: upTo(1),
        cloud: inHead.map((k) => [before.points[k], now.points[k]]),
        dots: names.map((name, t) => ({
          name,
          x: before.relative[t],
          y: now.relative[t],
          left: ["fat", "grey matter"].includes(name), // else names would hide each other
          below: name === "muscle and skin",
        })),
      }),
    );

    const greyOf = (name, { relative } = now) => relative[names.indexOf(name)].toFixed(2);
    const order = [...BRAIN].sort((a, b) => greyOf(a) - greyOf(b));
    const brightest = names[now.relative.indexOf(1)];
    const sentences = [
      `Brain, from dark to bright: ${order.map((name) => `${name} ${greyOf(name)}`).join(", ")}.`,
      `Two tissues of one grey in ${first}, ${greyOf(pair[0], before)}: ` +
        `${pair[0]} is now ${greyOf(pair[0])}, ${pair[1]} ${greyOf(pair[1])}.`,
      `1 is the brightest tissue: ${brightest}, with ${now.brightest.toFixed(2)} of the largest ` +
        "possible signal.",
    ];
    words.replaceChildren(...sentences.map((sentence) => element("p", {}, sentence)));
  };

  sequence.value = presets[first].sequence;
  limit(presets[first]);
  draw();
  return [
    element("div", { class: "row" }, ...buttons),
    element("div", { class: "controls" }, sequence, ...Object.values(sliders)),
    element("div", { class: "row top" }, element("div", { class: "head" }, canvas), bars, words),
    element("div", { class: "row top" }, recovery, decay, comparison),
  ];
});

/** An axis from 0 to a round number that is at least `value`. */
const upTo = (value) => {
  const high = [0.05, 0.1, 0.2, 0.5].find((one) => one >= value) ?? 1;
  return { low: 0, high, ticks: [0, high / 2, high] };
};

/** Bars, each in the grey that its tissue has in the picture. */
const barChart = (title, names, relative) => {
  const drawing = shape("svg", {
    viewBox: `0 0 270 ${names.length * 32 + 24}`,
    role: "img",
    "aria-label": title,
  });
  drawing.append(shape("text", { x: 0, y: 12, "font-weight": "bold" }, title));
  names.forEach((name, k) => {
    const [top, shade] = [24 + 32 * k, Math.round(255 * relative[k])];
    drawing.append(
      shape("text", { x: 0, y: top + 11 }, `${name} ${relative[k].toFixed(2)}`),
      shape("rect", {
        x: 0.5,
        y: top + 15,
        width: 1 + 260 * relative[k],
        height: 10,
        fill: `rgb(${shade}, ${shade}, ${shade})`,
        stroke: "currentColor",
      }),
    );
  });
  return drawing;
};
