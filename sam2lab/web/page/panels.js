// The lists beside the photo: the candidates of a click, and the objects.

import { paint } from "./painting.js";

const THUMB_WIDTH = 132;

// The size [height, width] at which candidates of a photo are shown.
export function thumbSize({ width, height }) {
  return [Math.max(1, Math.round((THUMB_WIDTH * height) / width)), THUMB_WIDTH];
}

// Show what there is to choose from: `answer` as the worker gave it, or null.
export function showCandidates(photo, answer, colour, choose) {
  const list = document.getElementById("candidates");
  const several = answer && answer.candidates.length > 1 ? answer.candidates : [];
  document.getElementById("candidates-note").hidden = several.length > 0;
  list.replaceChildren(
    ...several.map(({ score, mask }, number) => {
      const isChosen = number === answer.chosen;
      const button = element("button", "candidate", () => choose(number));
      button.type = "button";
      button.setAttribute("aria-pressed", isChosen);
      button.setAttribute("aria-label", `Answer ${number + 1}, score ${percent(score)}`);
      button.append(thumb(photo, mask, colour), text("span", `${number + 1}:`, percent(score)));
      return button;
    }),
  );
}

// Show the objects; `figures` says what is known about each, `actions` what can be done.
export function showObjects(state, figures, actions) {
  const list = document.getElementById("objects");
  const hadFocus = list.contains(document.activeElement) && document.activeElement.dataset.at;
  list.replaceChildren(
    ...state.objects.map((object) => {
      const row = element("li", object.id === state.active ? "object active" : "object");
      const colour = element("input", "colour");
      Object.assign(colour, { type: "color", value: object.colour, title: "Colour" });
      colour.addEventListener("change", () => actions.change(object.id, { colour: colour.value }));
      const name = element("input", "name");
      Object.assign(name, { type: "text", value: object.name, title: "Name", maxLength: 60 });
      name.addEventListener("change", () => rename(object, name.value, actions));
      name.addEventListener("click", () => actions.select(object.id));
      const hide = element("button", "small", () => actions.change(object.id, { hidden: !object.hidden }));
      hide.textContent = object.hidden ? "Show" : "Hide";
      hide.setAttribute("aria-label", `${hide.textContent} ${object.name}`);
      const remove = element("button", "small", () => actions.remove(object.id));
      remove.textContent = "Delete";
      remove.setAttribute("aria-label", `Delete ${object.name}`);
      const about = text("button", figures(object));
      about.className = "about";
      about.addEventListener("click", () => actions.select(object.id));
      about.setAttribute("aria-label", `Go on with ${object.name}: ${about.textContent}`);
      [colour, name, about, hide, remove].forEach((each, at) => {
        each.dataset.at = `${object.id}-${at}`;
        if (each.tagName === "BUTTON") each.type = "button";
        else each.setAttribute("aria-label", `${each.title} of ${object.name}`);
      });
      row.append(colour, name, hide, remove, about);
      return row;
    }),
  );
  if (hadFocus) list.querySelector(`[data-at="${hadFocus}"]`)?.focus();
}

// A name without letters is no name: the old one stays.
function rename({ id, name }, wanted, actions) {
  actions.change(id, { name: wanted.trim().replace(/\s+/g, " ") || name });
}

export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function thumb(photo, mask, colour) {
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = thumbSize(photo);
  const pen = canvas.getContext("2d");
  pen.drawImage(photo.canvas, 0, 0, canvas.width, canvas.height);
  if (mask) paint(pen, mask, colour, 0.55, 1);
  return canvas;
}

function element(tag, kind, onClick) {
  const made = document.createElement(tag);
  made.className = kind;
  if (onClick) made.addEventListener("click", onClick);
  return made;
}

function text(tag, ...parts) {
  const made = document.createElement(tag);
  made.append(...parts.flatMap((part, at) => (at ? [" ", part] : [part])));
  return made;
}
