// Starts the page: puts its parts together, and connects buttons and keys with them.

import { App } from "./app.js";
import { listen as listenToArrivals, showExamples } from "./arriving.js";
import { carried, SETTINGS, sourceOf } from "./carried.js";
import { Engine } from "./engine.js";
import { listen as listenToKeys } from "./keyboard.js";
import { listen as listenToPointer } from "./pointer.js";
import { Stage } from "./stage.js";
import { tellError } from "./telling.js";

// What "tidy" mends: holes and specks of at most this many of the 128 x 128 cells of nano's logits.
const TIDY_CELLS = 24;

const $ = (id) => document.getElementById(id);

function start() {
  const stage = new Stage();
  const app = new App(new Engine(), stage);
  const open = (blob, name) => app.open(blob, name).catch(tellError);
  const files = Object.fromEntries(["wasm", "encoder", "decoder"].map((n) => [n, sourceOf(n)]));

  app.load(SETTINGS, files).catch(tellError);
  showExamples(open, tellError).catch(tellError);
  listenToArrivals(open, tellError);
  listenToPointer(stage, {
    point: (place, positive) => app.point(place, positive),
    expect: (place, positive) => app.expect(place, positive),
    box: (corners) => app.box(corners),
    drawing: (box) => app.view.drawMarks(box),
    hover: (place) => app.previews.hover(place),
    tool: () => app.tool,
  });
  listenToKeys(stage, {
    tool: (tool) => app.use(tool),
    begin: () => app.begin(),
    save: () => app.save("mask"),
    open: () => $("file").click(),
    clear: () => app.clear(),
    help: () => $("help").showModal(),
    opacity: (step) => {
      $("opacity").value = Number($("opacity").value) + step;
      $("opacity").dispatchEvent(new Event("input"));
    },
    choose: (number) => app.choose(number),
    zoomIn: () => stage.zoom.in(),
    zoomOut: () => stage.zoom.out(),
    zoomReset: () => stage.zoom.reset(),
    undo: () => app.undo(),
    redo: () => app.redo(),
    cross: (dx, dy) => app.move(dx, dy),
    point: (positive) => app.cross && app.point(app.cross, positive),
  });
  connect(app);
  describe();
  return app;
}

function connect(app) {
  const clicks = {
    "tool-add": () => app.use("add"),
    "tool-remove": () => app.use("remove"),
    "tool-box": () => app.use("box"),
    undo: () => app.undo(),
    redo: () => app.redo(),
    clear: () => app.clear(),
    new: () => app.begin(),
    "zoom-in": () => app.stage.zoom.in(),
    "zoom-out": () => app.stage.zoom.out(),
    "help-open": () => $("help").showModal(),
    "save-mask": () => app.save("mask"),
    "save-cutout": () => app.save("cutout"),
    "save-labels": () => app.save("labels"),
    "save-coco": () => app.save("coco"),
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
  $("opacity").addEventListener("input", () => {
    app.view.strength = $("opacity").value / 100;
    app.view.drawMasks();
  });
  $("preview").addEventListener("change", () => {
    app.previews.isOn = $("preview").checked;
  });
  $("tidy").addEventListener("change", () => {
    app.asking.tidy = $("tidy").checked ? TIDY_CELLS : 0;
    app.refresh();
  });
  app.use("add");
}

// Say what model this is, and link what belongs to it.
function describe() {
  $("model").textContent = SETTINGS.about;
  if (SETTINGS.link) {
    $("about").href = SETTINGS.link;
    $("about").hidden = false;
  }
  for (const name of ["licence", "notices"]) {
    const base64 = carried(name);
    if (!base64) $(name).href = SETTINGS.files[name];
    else {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      $(name).href = URL.createObjectURL(new Blob([bytes], { type: "text/plain;charset=utf-8" }));
    }
  }
}

export const app = start();
