// The photo with its masks and marks, drawn; and where on it a place of the window is.

import { paint } from "./painting.js";
import { Zoom } from "./zoom.js";

export class Stage {
  constructor() {
    this.element = document.getElementById("stage");
    this.photoCanvas = document.getElementById("photo");
    this.maskCanvas = document.getElementById("masks");
    this.marks = document.getElementById("marks");
    this.zoom = new Zoom(this.element);
  }

  // Show a photo, with nothing on it.
  show(photo) {
    this.photo = photo;
    const [height, width] = photo.shown;
    for (const canvas of [this.photoCanvas, this.maskCanvas]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.photoCanvas.getContext("2d").drawImage(photo.canvas, 0, 0);
    this.element.style.setProperty("--shape", width / height);
    this.marks.replaceChildren();
    this.zoom.reset();
  }

  // Paint masks, [{mask, colour, strength}], the last on top.
  paint(layers) {
    const pen = this.maskCanvas.getContext("2d");
    pen.clearRect(0, 0, this.maskCanvas.width, this.maskCanvas.height);
    for (const { mask, colour, strength } of layers) {
      paint(pen, mask, colour, strength, this.lineWidth());
    }
  }

  // Draw an object's points and boxes, and perhaps a box that is being drawn, and the cross.
  mark(prompts, { box = null, cross = null } = {}) {
    const drawn = [...prompts, ...(box ? [box] : [])].map((each) =>
      "x0" in each ? this.boxMark(each) : this.pointMark(each),
    );
    if (cross) drawn.push(this.placed("cross", cross.x + 0.5, cross.y + 0.5));
    this.marks.replaceChildren(...drawn);
  }

  // The pixel of the photo at a place of the window; also beside the photo, for ends of boxes.
  at({ clientX, clientY }) {
    const box = this.photoCanvas.getBoundingClientRect();
    return {
      x: Math.floor(((clientX - box.left) / box.width) * this.photo.width),
      y: Math.floor(((clientY - box.top) / box.height) * this.photo.height),
    };
  }

  has({ x, y }) {
    return x >= 0 && y >= 0 && x < this.photo.width && y < this.photo.height;
  }

  // How many pixels of the photo a pixel of the window is.
  scale() {
    return this.photo.width / this.photoCanvas.getBoundingClientRect().width;
  }

  // Two pixels of the window, in pixels of the canvas.
  lineWidth() {
    const box = this.photoCanvas.getBoundingClientRect();
    return Math.max(1, Math.round((2 * this.photoCanvas.width) / (box.width || 1)));
  }

  pointMark({ x, y, positive }) {
    return this.placed(positive ? "point positive" : "point negative", x + 0.5, y + 0.5);
  }

  boxMark({ x0, y0, x1, y1 }) {
    const mark = this.placed("box", Math.min(x0, x1), Math.min(y0, y1));
    mark.style.width = `${(100 * Math.abs(x1 - x0)) / this.photo.width}%`;
    mark.style.height = `${(100 * Math.abs(y1 - y0)) / this.photo.height}%`;
    return mark;
  }

  placed(kind, x, y) {
    const mark = document.createElement("i");
    mark.className = kind;
    mark.style.left = `${(100 * x) / this.photo.width}%`;
    mark.style.top = `${(100 * y) / this.photo.height}%`;
    return mark;
  }
}
