// Contrast simulator: what a sequence and its times make of the tissues of one head.

/** The signal of a tissue: PD times what there is after the pulse times what is left at the echo. */
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
const AT_ECHO = {
  "spin echo": (tissue, { te }) => Math.exp(-te / tissue.t2),
  "gradient echo": (tissue, { te }) => Math.exp(-te / tissue.t2_star),
  "inversion recovery": (tissue, { te }) => Math.exp(-te / tissue.t2),
};
const signal = (tissue, sequence, settings) =>
  tissue.pd * AFTER_PULSE[sequence](tissue, settings) * AT_ECHO[sequence](tissue, settings);

const UNITS = { tr: ["TR", "ms"], te: ["TE", "ms"], ti: ["TI", "ms"], flip_angle: ["flip angle", "°"] };
const DRAWN = ["CSF", "grey matter", "white matter"]; // as curves

start("contrast", async ({ sheet, tissues, sequences, presets, pair }) => {
  const names = Object.keys(tissues);
  const values = await greyValues(sheet);
  const count = values.length / names.length;
  const size = Math.sqrt(count);
  const shares = names.map((_, k) => Float32Array.from(values.subarray(k * count, (k + 1) * count), (v) => v / 255));
  const head = [...Array(count).keys()].filter((k) => shares.some((share) => share[k] > 0.05) && k % 3 === 0);

  /** The grey of each tissue and of each voxel; 1 is the brightest tissue. */
  const greys = (sequence, settings) => {
    const signals = names.map((name) => signal(tissues[name], sequence, settings));
    const brightest = Math.max(...signals, 1e-9);
    const relative = signals.map((one) => one / brightest);
    const voxels = new Float32Array(count);
    shares.forEach((share, t) => share.forEach((part, k) => { voxels[k] += part * relative[t]; }));
    return { brightest, relative, voxels };
  };
  const [first] = Object.keys(presets); // the contrast that is compared with
  const before = greys(presets[first].sequence, presets[first]);

  const canvas = picture("The head as it looks with these settings", size);
  const [bars, recovery, decay, comparison] = Array.from({ length: 4 }, () =>
    element("div", { style: "flex: 1 1 16em; min-width: 0; max-width: 22em" }));
  const words = element("div", { role: "status", style: "flex: 1 1 14em" });
  const sequence = choice("sequence", Object.keys(sequences), () => { limit({}); draw(); });
  const sliders = Object.fromEntries(Object.entries(UNITS).map(([key, [name, unit]]) =>
    [key, slider(name, (value) => (unit === "°" ? `${value}°` : `${value} ${unit}`), () => { limit({}); draw(); }, {})]));
  const buttons = Object.entries(presets).map(([name, preset]) => button(name, () => {
    sequence.value = preset.sequence;
    limit(preset);
    draw();
  }));

  /** Give the sliders the limits of the sequence, and the settings that are asked for. */
  const limit = (settings) => {
    const limits = sequences[sequence.value];
    for (const [key, one] of Object.entries(sliders)) {
      one.hidden = !(key in limits);
      if (one.hidden) continue;
      const [min, max, step] = limits[key];
      one.set({ min, max, step });
      if (key in settings) one.set({ value: settings[key] });
    }
    // The echo comes before the next pulse, and after the inversion there is a pulse, too.
    const end = sliders.tr.value;
    sliders.te.set({ max: Math.min(limits.te[1], end - limits.te[0]) });
    if (limits.ti) sliders.ti.set({ max: Math.min(limits.ti[1], end - sliders.te.value) });
  };

  const draw = () => {
    const kind = sequence.value;
    const limits = sequences[kind];
    const settings = Object.fromEntries(Object.keys(limits).map((key) => [key, sliders[key].value]));
    const { brightest, relative, voxels } = greys(kind, settings);
    const grey = Object.fromEntries(names.map((name, t) => [name, relative[t]]));
    paint(canvas, (k) => Array(3).fill(255 * voxels[k]));
    buttons.forEach((one, k) => {
      const { sequence: other, ...asked } = Object.values(presets)[k];
      const same = other === kind && Object.keys(asked).every((key) => asked[key] === settings[key]);
      one.setAttribute("aria-pressed", same);
    });
    bars.replaceChildren(barChart(names, relative));

    // The right chart begins, at TE = 0, with what the left one shows at its marker.
    const key = limits.ti ? "ti" : "tr";
    const [, longest] = limits[key];
    const drawn = (axis, end, f) => DRAWN.map((name, c) => ({
      name, colour: COLOURS[c], dash: ["", "6 3", "2 3"][c],
      points: [...Array(121).keys()].map((k) => [(k * end) / 120, tissues[name].pd * f(tissues[name], { ...settings, [axis]: (k * end) / 120 })]),
    }));
    const rising = drawn(key, longest, AFTER_PULSE[kind]);
    const falling = drawn("te", limits.te[1], (tissue, s) => AFTER_PULSE[kind](tissue, s) * AT_ECHO[kind](tissue, s));
    const top = Math.max(...rising.flatMap((line) => line.points.map(([, value]) => value)));
    const y = scaleTo(top);
    const time = (end, label) => ({ low: 0, high: end, ticks: [0, end / 2, end], label });
    recovery.replaceChildren(chart({
      title: "signal right after the pulse", marker: settings[key], y, lines: rising,
      x: time(longest, `${UNITS[key][0]} (ms)`),
    }));
    decay.replaceChildren(chart({
      title: "signal later, until the echo", marker: settings.te, y, lines: falling, x: time(limits.te[1], "TE (ms)"),
    }));
    const unit = { low: 0, high: 1, ticks: [0, 0.5, 1] };
    comparison.replaceChildren(chart({
      title: `grey now, by grey in ${first}`, x: { ...unit, label: `grey in ${first}` }, y: unit,
      cloud: head.map((k) => [before.voxels[k], voxels[k]]),
      dots: names.map((name, t) => ({
        name, x: before.relative[t], y: relative[t],
        left: ["fat", "grey matter"].includes(name), below: name === "muscle and skin",
      })),
    }));

    const order = [...DRAWN].sort((a, b) => grey[a] - grey[b]);
    const [one, other] = pair;
    const sentences = [
      `Brain, from dark to bright: ${order.map((name) => `${name} ${grey[name].toFixed(2)}`).join(", ")}.`,
      `Two tissues of one grey in ${first}, ${before.relative[names.indexOf(one)].toFixed(2)}: `
        + `${one} is now ${grey[one].toFixed(2)}, ${other} ${grey[other].toFixed(2)}.`,
      `1 is the brightest tissue: ${names[relative.indexOf(1)]}, with ${brightest.toFixed(2)} of the largest possible signal.`,
    ];
    words.replaceChildren(...sentences.map((sentence) => element("p", {}, sentence)));
  };

  sequence.value = presets[first].sequence;
  limit(presets[first]);
  draw();
  return [
    element("div", { class: "row" }, ...buttons),
    element("div", { class: "row" }, sequence, ...Object.values(sliders)),
    element("div", { class: "row top" },
      element("div", { style: "flex: 0 1 17em" }, canvas), bars, words),
    element("div", { class: "row top" }, recovery, decay, comparison),
  ];
});

/** An axis from 0 to a little above a value. */
const scaleTo = (top) => {
  const step = [0.02, 0.05, 0.1, 0.25, 0.5].find((one) => one * 2 >= top) ?? 0.5;
  return { low: 0, high: 2 * step, ticks: [0, step, 2 * step] };
};

/** Bars in the grey that each tissue has in the picture. */
const barChart = (names, relative) => {
  const drawing = shape("svg", { viewBox: `0 0 270 ${names.length * 32 + 24}`, role: "img", "aria-label": "signal of each tissue" });
  drawing.append(shape("text", { x: 0, y: 12, "font-weight": "bold" }, "signal of each tissue"));
  names.forEach((name, k) => {
    const top = 24 + 32 * k;
    const shade = Math.round(255 * relative[k]);
    drawing.append(
      shape("text", { x: 0, y: top + 11 }, `${name} ${relative[k].toFixed(2)}`),
      shape("rect", { x: 0.5, y: top + 15, width: 1 + 260 * relative[k], height: 10, fill: `rgb(${shade},${shade},${shade})`, stroke: "currentColor" }),
    );
  });
  return drawing;
};
