/* Draws what `pictures.py` put into the page, in the colours of the theme, and again when that or a choice changes. */
"use strict";

function isDark() {
  const theme = document.body.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

const MEANS = "means over the models";
const EVERY = "every model";

function select(parent, label, names) {
  const element = document.createElement("select");
  element.append(...names.map((name) => new Option(name)));
  const words = document.createElement("label");
  words.append(`${label} `, element);
  parent.append(words);
  element.addEventListener("change", draw);
  return element;
}

/* The two choices before a picture, and the points that they stand for. */
function choices(place, families) {
  const family = select(place, "models", Object.keys(families));
  const which = select(place, "show", []);
  const fill = () => which.replaceChildren(...[MEANS, EVERY, ...families[family.value].models].map((name) => new Option(name)));
  family.addEventListener("change", fill, { capture: true });
  fill();
  return () => points(families[family.value], family.value, which.value);
}

function points({ models, right, known, lines }, family, which) {
  const found = [];
  const share = (millionths) => (millionths / 1e6).toFixed(6);
  for (const [strategy, operations, bounds] of lines) {
    const group = strategy.split("/")[0];
    const proved = models.map((_, i) => i).filter((i) => bounds[i] !== null);
    const taken = (i) => (Array.isArray(operations) ? operations[i] : operations);
    const point = (model, chosen, words) => {
      const mean = (number) => chosen.reduce((sum, i) => sum + number(i), 0) / chosen.length;
      const accuracy = share(mean((i) => right[i])) + words;
      found.push({ strategy, group, model, bound: mean((i) => bounds[i]) / 1e6, right: accuracy, operations: Math.round(mean(taken)) });
    };
    if (which === MEANS) point(`mean of ${proved.length} models ${family}/…`, proved, "");
    else {
      for (const i of proved) if (which === EVERY || models[i] === which) point(`${family}/${models[i]}`, [i], ` of ${known}`);
    }
  }
  return found;
}

const pictures = Array.from(document.querySelectorAll(".interactive"), (place) => {
  const spec = place.nextElementSibling;
  const before = place.previousElementSibling;
  const chosen = before?.matches(".interactive-choices") ? choices(before, JSON.parse(spec.nextElementSibling.textContent)) : null;
  return { place, text: spec.textContent, chosen };
});

function draw() {
  const text = isDark() ? "#d0d2d6" : "#333333";
  const lines = isDark() ? "#3a3d42" : "#dddddd";
  const config = {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: lines },
    axis: { labelColor: text, titleColor: text, gridColor: lines, domainColor: lines, tickColor: lines, labelFontSize: 12, titleFontSize: 13 },
    legend: { labelColor: text, labelFontSize: 13 },
  };
  for (const { place, text: json, chosen } of pictures) {
    const spec = JSON.parse(json);
    delete spec.$schema;
    delete spec.config;
    if (chosen) {
      delete spec.datasets;
      spec.data = { values: chosen() };
      /* The legend names what is there; colours and shapes stay. */
      const there = new Set(spec.data.values.map((row) => row.group));
      for (const { scale } of [spec.encoding.color, spec.encoding.shape]) {
        scale.range = scale.range.filter((_, i) => there.has(scale.domain[i]));
        scale.domain = scale.domain.filter((group) => there.has(group));
      }
    }
    /* Thousands of marks are too much for SVG. */
    const many = spec.data.values && spec.data.values.length > 2000;
    if (many) Object.assign(spec.mark, { size: 14, opacity: 0.35 });
    const renderer = many ? "canvas" : "svg";
    const legend = { ...config.legend, columns: place.clientWidth < 480 ? 2 : 3 };
    vegaEmbed(place, spec, { actions: false, renderer, config: { ...config, legend }, tooltip: { theme: isDark() ? "dark" : "light" } });
  }
}

draw();
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
