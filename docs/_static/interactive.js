/* Draws what `pictures.py` put into the page, in the colours of the theme, and again when that changes. */
"use strict";

function isDark() {
  const theme = document.body.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

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
  for (const place of document.querySelectorAll(".interactive")) {
    const spec = JSON.parse(place.nextElementSibling.textContent);
    delete spec.$schema;
    delete spec.config;
    vegaEmbed(place, spec, { actions: false, renderer: "svg", config, tooltip: { theme: isDark() ? "dark" : "light" } });
  }
}

draw();
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
