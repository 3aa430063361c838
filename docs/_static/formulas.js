/* Keeps formulas with the text around them. */
"use strict";

/* What follows a formula without a space, such as a comma, does not begin a line. */
for (const formula of document.querySelectorAll("span.math")) {
  const after = formula.nextSibling;
  const glued = after && after.nodeType === Node.TEXT_NODE ? /^[^\s(]+/.exec(after.data) : null;
  if (glued) {
    const both = document.createElement("span");
    both.className = "together";
    formula.before(both);
    after.splitText(glued[0].length);
    both.append(formula, after);
  }
}

/* A formula that is wider than the text scrolls by itself, not with the page. */
function fit() {
  for (const formula of document.querySelectorAll("span.math > mjx-container")) {
    formula.classList.remove("wide");
    const block = formula.closest("p, li, dd, td, article");
    formula.classList.toggle("wide", formula.getBoundingClientRect().width > block.clientWidth);
  }
}

addEventListener("load", () => MathJax.startup.promise.then(fit));
addEventListener("resize", fit);
