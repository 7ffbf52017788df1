// Watch it learn: the sample image of each epoch, laid over that of the last one.

const PAUSE = 500; // ms between two epochs when they are played

start("epochs", async ({ epochs, frames, name }, stills) => {
  const last = epochs.length - 1;
  const base = element("img", { src: stills.at(-1).src, alt: "" });
  const frame = element("img");
  const draw = () => {
    const epoch = epochs[place.value];
    frame.src = frames[place.value];
    frame.alt = `Run ${name}: T1-w, generated and true T2-w slices in epoch ${epoch}`;
  };
  const words = (k) => `${epochs[k]} of ${epochs[last]}`;
  const moved = () => {
    stop();
    draw();
  };
  const place = slider("epoch", words, moved, { min: 0, max: last, step: 1, value: last });

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const play = button("Play", () => {
    if (timer) return stop();
    if (place.value === last) place.set({ value: 0 });
    draw();
    play.textContent = "Pause";
    timer = setInterval(() => {
      place.set({ value: place.value + 1 });
      draw();
      if (place.value === last || !play.isConnected) stop();
    }, PAUSE);
  });

  draw();
  return [
    element("div", { class: "controls" }, place, element("div", {}, play)),
    element("div", { class: "stack" }, base, frame),
  ];
});
