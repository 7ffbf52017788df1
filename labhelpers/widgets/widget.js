// What all widgets share: elements, labelled controls, grey pictures and small charts.

// Each can be told from white and from the backgrounds of dark themes (3 : 1 or more).
const COLOURS = ["#3a8fd6", "#d9730d", "#2e9c60", "#b565c9"];

/** A new element: `element("p", {class: "note"}, "text", child)`. */
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

/** A new element of a drawing. */
const shape = (name, attributes = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

/**
 * A slider under its name and its value. `words` turns a value into text, with its unit; `moved` is
 * called when the student moves it. Returns the label with `value`, and `set({value, min, max,
 * step})`, which changes it without calling `moved`.
 */
const slider = (name, words, moved, limits = {}) => {
  const input = element("input", { type: "range" });
  const shown = element("span");
  const label = element("label", {}, `${name}: `, shown, input);
  const say = () => {
    shown.textContent = words(input.valueAsNumber);
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  label.set = (changes) => {
    for (const key of ["min", "max", "step", "value"]) {
      if (key in changes) input[key] = changes[key];
    }
    say();
  };
  Object.defineProperty(label, "value", { get: () => input.valueAsNumber });
  input.addEventListener("input", () => {
    say();
    moved();
  });
  label.set(limits);
  return label;
};

/** A list to choose from, under its name; returns the label with `value`. */
const choice = (name, options, chosen) => {
  const select = element("select", {}, ...options.map((option) => element("option", {}, option)));
  const label = element("label", {}, name, select);
  Object.defineProperty(label, "value", {
    get: () => select.value,
    set: (value) => {
      select.value = value;
    },
  });
  select.addEventListener("change", chosen);
  return label;
};

const button = (text, pressed) => {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", pressed);
  return made;
};

/** A canvas of so many voxels, described for those who cannot see it. */
const picture = (description, width, height = width) =>
  element("canvas", { width, height, role: "img", "aria-label": description });

/** The grey values, 0 to 255, of a PNG in a data URL. */
const greyValues = async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = element("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, k) => data[4 * k]);
};

/** Fill a canvas: `colour(k)` gives red, green and blue, 0 to 255, of its k-th voxel. */
const paint = (canvas, colour) => {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < canvas.width * canvas.height; k += 1) {
    image.data.set([...colour(k), 255], 4 * k);
  }
  context.putImageData(image, 0, 0);
};

/**
 * A small chart.
 *
 * title: what it shows, above it. x, y: {low, high, ticks, label}. lines: [{points: [[x, y], ...],
 * name, colour, dash, width}], each named at its right end if it has a name. marker: x of an
 * upright line. cloud: points as small squares. dots: [{x, y, name, left, below}]. width, height:
 * its shape; it fills the element that it is put into.
 */
const chart = ({ title, x, y, lines = [], marker, cloud = [], dots = [], ...shapeOf }) => {
  const { width = 300, height = 220 } = shapeOf;
  const named = lines.filter((line) => line.name);
  const [left, right, top, bottom] = [34, width - (named.length ? 88 : 14), 24, height - 36];
  const toX = (value) => left + ((value - x.low) / (x.high - x.low)) * (right - left);
  const toY = (value) => bottom - ((value - y.low) / (y.high - y.low)) * (bottom - top);
  const path = (points) =>
    points.map(([a, b]) => `${toX(a).toFixed(1)},${toY(b).toFixed(1)}`).join(" ");
  const line = ([x1, y1], [x2, y2], more = {}) =>
    shape("line", { x1, y1, x2, y2, stroke: "currentColor", ...more });
  const text = (words, [x, y], anchor = "start", more = {}) =>
    shape("text", { x, y, "text-anchor": anchor, ...more }, `${words}`);

  const drawing = shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": title,
  });
  drawing.append(
    text(title, [0, 12], "start", { "font-weight": "bold" }),
    ...x.ticks.map((value) => text(value, [toX(value), bottom + 15], "middle")),
    ...y.ticks.map((value) => text(value, [left - 5, toY(value) + 4], "end")),
    ...y.ticks.map((value) => line([left, toY(value)], [right, toY(value)], { opacity: 0.2 })),
    line([left, bottom], [right, bottom]),
    text(x.label, [(left + right) / 2, height - 4], "middle"),
    shape("path", {
      d: cloud.map((point) => `M${path([point])}h1.5v1.5h-1.5z`).join(""),
      fill: COLOURS[0],
      opacity: 0.7,
    }),
  );
  if (marker !== undefined) {
    drawing.append(line([toX(marker), top], [toX(marker), bottom], { "stroke-dasharray": "3 3" }));
  }
  for (const { points, colour = "currentColor", dash = "", width: thickness = 2 } of lines) {
    const look = { stroke: colour, "stroke-width": thickness, "stroke-dasharray": dash };
    drawing.append(shape("polyline", { points: path(points), fill: "none", ...look }));
  }
  // Names at the right ends, from the lowest to the highest, each a line of text above the other.
  let place = Infinity;
  const ends = named.map(({ name, points }) => [toY(points.at(-1)[1]), name]);
  for (const [end, name] of ends.sort(([a], [b]) => b - a)) {
    place = Math.min(end + 4, place - 13);
    drawing.append(text(name, [right + 5, place]));
  }
  for (const dot of dots) {
    const [cx, cy] = [toX(dot.x), toY(dot.y)];
    drawing.append(
      shape("circle", { cx, cy, r: 4, fill: COLOURS[1], stroke: "currentColor" }),
      dot.left
        ? text(dot.name, [cx - 8, cy + 4], "end")
        : text(dot.name, [cx + 8, cy + (dot.below ? 16 : 4)]),
    );
  }
  return drawing;
};

/**
 * Put the widgets of a kind that have not begun yet in the place of their still pictures:
 * `build(data, stills)` returns the parts of one. Every script looks for its widget in this way,
 * because not all front ends say which element a script belongs to.
 */
const start = (kind, build) => {
  for (const host of document.querySelectorAll(`[data-labhelpers-widget="${kind}"]`)) {
    if (host.shadowRoot) continue;
    const inside = host.attachShadow({ mode: "open" });
    inside.append(element("slot")); // the still pictures, until all is there
    const data = JSON.parse(host.querySelector('script[type="application/json"]').textContent);
    build(data, [...host.querySelectorAll("img")]).then((parts) =>
      inside.replaceChildren(element("style", {}, STYLE), ...parts),
    );
  }
};
