// Explorer: slices of one subject after the other, their errors, and a profile through all of them.

const SIZE = 64; // voxels per side

start("explorer", async ({ sheets, subjects, metrics, total, voxel, colours, largestError, credit }) => {
  const names = Object.keys(sheets);
  const methods = Object.keys(metrics);
  const decoded = await Promise.all(Object.values(sheets).map(greyValues));
  const values = Object.fromEntries(names.map((name, k) => [name, decoded[k]]));
  const [, truth] = names;
  /** The k-th voxel of the slice of a subject, in [-1, 1]. */
  const voxelOf = (name, subject, k) => values[name][subject * SIZE * SIZE + k] / 127.5 - 1;

  const looks = names.map((name, k) => [
    { dash: "2 3", width: 1.5 }, { width: 2.5 },
    ...methods.map((_, m) => ({ colour: COLOURS[m % COLOURS.length], dash: ["", "7 3", "3 2", "9 2 2 2"][m % 4] })),
  ][k]);
  const shown = names.map(() => Object.assign(element("input", { type: "checkbox" }), { checked: true }));
  const images = names.map((name) => picture(`${name} slice`, SIZE));
  const errors = methods.map((name) => picture(`absolute error of ${name}`, SIZE));
  const figures = methods.map(() => element("div", { class: "small" }));
  const profile = element("div", { style: "flex: 1 1 25em; min-width: 0; max-width: 640px" });
  const lines = [...images, ...errors].map(() => element("div", {
    style: "position: absolute; left: 0; right: 0; height: 1px; background: #ffb000; pointer-events: none",
  }));

  const inOrder = "subject";
  const order = () => {
    const places = subjects.map((_, k) => k);
    const method = methods.find((name) => by.value === worstOf(name));
    return method ? places.sort((a, b) => metrics[method].MAE[b] - metrics[method].MAE[a]) : places;
  };
  const worstOf = (name) => `largest error first: ${name}`;
  const by = choice("order by", [inOrder, ...methods.map(worstOf)], () => { place.set({ value: 0 }); draw(); });
  const greys = (value) => value.toFixed(2);
  const draw = () => {
    const subject = order()[place.value];
    place.set({}); // says the name of the subject in the new order
    const [from, to] = [low.value, high.value];
    names.forEach((name, n) => paint(images[n], (k) =>
      Array(3).fill((255 * (voxelOf(name, subject, k) - from)) / (to - from))));
    methods.forEach((name, m) => {
      paint(errors[m], (k) => {
        const error = Math.abs(voxelOf(name, subject, k) - voxelOf(truth, subject, k));
        return colours[Math.min(255, Math.round((255 * error) / largestError))];
      });
      const { MAE, PSNR, SSIM } = metrics[name];
      figures[m].replaceChildren(
        `MAE ${MAE[subject].toFixed(4)}`, element("br"),
        `PSNR ${PSNR[subject].toFixed(2)} dB`, element("br"), `SSIM ${SSIM[subject].toFixed(3)}`);
    });
    lines.forEach((line) => { line.style.top = `${((SIZE - row.value - 0.5) / SIZE) * 100}%`; });
    const first = (SIZE - 1 - row.value) * SIZE;
    profile.replaceChildren(chart({
      title: "grey along the line, left to right (of the slices ticked above)", width: 560, height: 230,
      x: { low: 0, high: SIZE * voxel, ticks: [0, 60, 120, 180, 240], label: "mm" },
      y: { low: -1, high: 1, ticks: [-1, 0, 1] },
      lines: names.map((name, n) => ({
        ...looks[n],
        points: Array.from({ length: SIZE }, (_, x) => [(x + 0.5) * voxel, voxelOf(name, subject, first + x)]),
      })).filter((_, n) => shown[n].checked),
    }));
  };

  const place = slider("subject", (k) => `${k + 1} of ${subjects.length}, ${subjects[order()[k]]}`, draw,
    { min: 0, max: subjects.length - 1, step: 1, value: 0 });
  const low = slider("black", greys, () => {
    high.set({ value: Math.max(high.value, low.value + 0.02) }); // pushed along
    draw();
  }, { min: -1, max: 0.98, step: 0.02, value: -1 });
  const high = slider("white", greys, () => {
    low.set({ value: Math.min(low.value, high.value - 0.02) });
    draw();
  }, { min: -0.98, max: 1, step: 0.02, value: 1 });
  const row = slider("line", (y) => `${Math.round((y + 0.5) * voxel)} mm from the back`, draw,
    { min: 0, max: SIZE - 1, step: 1, value: SIZE / 2 });
  shown.forEach((box) => box.addEventListener("change", draw));

  const framed = (canvas, line) => {
    const frame = element("div", { style: "position: relative; cursor: row-resize; touch-action: none" }, canvas, line);
    const point = (event) => {
      const { top, height } = frame.getBoundingClientRect();
      row.set({ value: SIZE - 1 - Math.floor(((event.clientY - top) / height) * SIZE) });
      draw();
    };
    frame.addEventListener("pointerdown", (event) => { frame.setPointerCapture(event.pointerId); point(event); });
    frame.addEventListener("pointermove", (event) => { if (event.buttons & 1) point(event); });
    return frame;
  };
  const sample = ({ colour = "currentColor", dash = "", width = 2 }) =>
    shape("svg", { viewBox: "0 0 26 8", "aria-hidden": "true", style: "display: inline-block; width: 26px; vertical-align: middle" },
      shape("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: colour, "stroke-dasharray": dash, "stroke-width": width }));
  const columns = `repeat(${names.length}, minmax(0, 1fr))`;
  const scale = element("canvas", { width: 256, height: 1, style: "height: 10px" });
  paint(scale, (k) => colours[k]);

  draw();
  return [
    element("div", { class: "row" }, by, place, low, high, row),
    element("div", { style: `display: grid; grid-template-columns: ${columns}; gap: 4px; align-items: end; max-width: ${names.length * 190}px` },
      ...names.map((name, n) => element("label", { class: "small" }, shown[n], sample(looks[n]), element("br"), name)),
      ...images.map((canvas, n) => framed(canvas, lines[n])),
      element("div", { class: "small", style: "grid-column: span 2; align-self: center; padding-right: 1em" },
        "absolute error |true − generated|", scale,
        element("div", { style: "display: flex; justify-content: space-between" },
          element("span", {}, "0"), element("span", {}, `${largestError} and more`))),
      ...errors.map((canvas, m) => framed(canvas, lines[names.length + m])),
      element("div", { class: "small", style: "grid-column: span 2" },
        subjects.length < total ? `${subjects.length} of ${total} subjects` : `all ${total} subjects`,
        element("br"), credit),
      ...figures),
    element("div", { class: "row" }, profile),
  ];
});
