// Explorer: slices of one subject after the other, their errors, and a profile through all of them.

const SIZE = 64; // voxels per side
const DASHES = ["", "7 3", "3 2", "9 2 2 2"]; // of the methods

start("explorer", async (data) => {
  const { sheets, subjects, metrics, voxel, colours, largestError, credit } = data;
  const [names, methods] = [Object.keys(sheets), Object.keys(metrics)];
  const [, truth] = names;
  const decoded = await Promise.all(Object.values(sheets).map(greyValues));
  const valuesOf = Object.fromEntries(names.map((name, n) => [name, decoded[n]]));
  /** The k-th voxel of the slice of a subject, in [-1, 1]. */
  const value = (name, subject, k) => valuesOf[name][subject * SIZE * SIZE + k] / 127.5 - 1;

  const looks = [
    { dash: "2 3", width: 1.5 }, // T1-w
    { width: 2.5 }, // T2-w
    ...methods.map((_, m) => ({ colour: COLOURS[m % 4], dash: DASHES[m % 4] })),
  ];
  const ticks = names.map(() => element("input", { type: "checkbox", checked: "" }));
  const slices = names.map((name) => picture(`${name} slice`, SIZE));
  const errors = methods.map((name) => picture(`absolute error of ${name}`, SIZE));
  const figures = methods.map(() => element("div", { class: "small" }));
  const profile = element("div", { class: "profile" });

  const worstOf = (name) => `largest error first: ${name}`;
  /** The places of the subjects in the order that is chosen. */
  const order = () => {
    const method = methods.find((name) => worstOf(name) === by.value);
    const error = (k) => (method ? metrics[method].MAE[k] : 0);
    return subjects.map((_, k) => k).sort((a, b) => error(b) - error(a));
  };

  const draw = () => {
    const subject = order()[place.value];
    const [from, to] = [black.value, white.value];
    names.forEach((name, n) => {
      paint(slices[n], (k) =>
        Array(3).fill((255 * (value(name, subject, k) - from)) / (to - from)),
      );
    });
    methods.forEach((name, m) => {
      paint(errors[m], (k) => {
        const error = Math.abs(value(name, subject, k) - value(truth, subject, k));
        return colours[Math.min(255, Math.round((255 * error) / largestError))];
      });
      const [mae, psnr, ssim] = ["MAE", "PSNR", "SSIM"].map((one) => metrics[name][one][subject]);
      figures[m].replaceChildren(
        element("div", {}, `MAE ${mae.toFixed(4)}`),
        element("div", {}, `PSNR ${psnr.toFixed(2)} dB`),
        element("div", {}, `SSIM ${ssim.toFixed(3)}`),
      );
    });
    for (const { line } of frames) line.style.top = `${100 - ((row.value + 0.5) / SIZE) * 100}%`;
    const start = (SIZE - 1 - row.value) * SIZE; // the upper row of a picture is the first one
    const lines = names.map((name, n) => ({
      ...looks[n],
      points: Array.from({ length: SIZE }, (_, x) => [
        (x + 0.5) * voxel,
        value(name, subject, start + x),
      ]),
    }));
    profile.replaceChildren(
      chart({
        title: "grey along the line, left to right (slices ticked)",
        x: { low: 0, high: SIZE * voxel, ticks: [0, 60, 120, 180, 240], label: "mm" },
        y: { low: -1, high: 1, ticks: [-1, 0, 1] },
        lines: lines.filter((_, n) => ticks[n].checked),
        width: 400,
        height: 290,
      }),
    );
  };

  const by = choice("order by", ["subject", ...methods.map(worstOf)], () => {
    place.set({ value: 0 });
    draw();
  });
  const subjectName = (k) => `${k + 1} of ${subjects.length}, ${subjects[order()[k]]}`;
  const place = slider("subject", subjectName, draw, {
    min: 0,
    max: subjects.length - 1,
    step: 1,
    value: 0,
  });
  // Each end of the window pushes the other one along.
  const twoDecimals = (grey) => grey.toFixed(2);
  const moveWhite = () => {
    white.set({ value: Math.max(white.value, black.value + 0.02) });
    draw();
  };
  const moveBlack = () => {
    black.set({ value: Math.min(black.value, white.value - 0.02) });
    draw();
  };
  const ends = { step: 0.02 };
  const black = slider("black", twoDecimals, moveWhite, { ...ends, min: -1, max: 0.98, value: -1 });
  const white = slider("white", twoDecimals, moveBlack, { ...ends, min: -0.98, max: 1, value: 1 });
  const height = (y) => `${Math.round((y + 0.5) * voxel)} mm from the back`;
  const row = slider("line", height, draw, { min: 0, max: SIZE - 1, step: 1, value: SIZE / 2 });
  for (const tick of ticks) tick.addEventListener("change", draw);

  /** A picture with the line of the profile, which a pointer moves. */
  const framed = (canvas) => {
    const line = element("div", { class: "line" });
    const frame = element("div", { class: "frame" }, canvas, line);
    const point = (event) => {
      const box = frame.getBoundingClientRect();
      row.set({ value: SIZE - 1 - Math.floor(((event.clientY - box.top) / box.height) * SIZE) });
      draw();
    };
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      point(event);
    });
    frame.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) point(event);
    });
    return { frame, line };
  };
  const frames = [...slices, ...errors].map(framed);

  /** How a line looks in the profile. */
  const sample = ({ colour = "currentColor", dash = "", width = 2 }) => {
    const look = { stroke: colour, "stroke-dasharray": dash, "stroke-width": width };
    const line = shape("line", { x1: 0, x2: 26, y1: 4, y2: 4, ...look });
    return shape("svg", { viewBox: "0 0 26 8", class: "sample", "aria-hidden": "true" }, line);
  };
  const heads = names.map((name, n) =>
    element("label", { class: "small" }, ticks[n], sample(looks[n]), element("div", {}, name)),
  );
  const scale = element("canvas", { width: 256, height: 1, class: "scale" });
  paint(scale, (k) => colours[k]);
  const legend = element(
    "div",
    { class: "small legend" },
    "absolute error |true − generated|",
    scale,
    element("span", {}, "0"),
    element("span", { class: "right" }, `${largestError} and more`),
  );
  const about = element(
    "div",
    { class: "small legend" },
    `${subjects.length} test subjects`,
    element("br"),
    credit,
  );
  const pictures = frames.map(({ frame }) => frame);

  draw();
  return [
    element("div", { class: "controls" }, by, place, row, black, white),
    element(
      "div",
      { class: "row top" },
      element(
        "div",
        { class: "slices", style: `--columns: ${names.length}` },
        ...heads,
        ...pictures.slice(0, names.length),
        legend,
        ...pictures.slice(names.length),
        about,
        ...figures,
      ),
      profile,
    ),
  ];
});
