// Zooms into the photo and moves it: wheel, buttons and keys. A finger zooms as on any page.

const STEP = 1.25;
const MOST = 16;

export class Zoom {
  constructor(frame) {
    this.frame = frame;
    this.view = document.getElementById("view");
    this.reset();
    frame.addEventListener("wheel", (event) => this.turn(event), { passive: false });
  }

  // Show all of the photo.
  reset() {
    [this.scale, this.x, this.y] = [1, 0, 0];
    this.apply();
  }

  // Zoom by a factor; a place of the window stays where it is, by default the middle.
  by(factor, place = null) {
    const box = this.frame.getBoundingClientRect();
    const [x, y] = place
      ? [place.clientX - box.left, place.clientY - box.top]
      : [box.width / 2, box.height / 2];
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.apply();
  }

  in() {
    this.by(STEP);
  }

  out() {
    this.by(1 / STEP);
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  // With Ctrl, or two fingers on a touchpad, the wheel zooms; in a part of the photo it moves it.
  turn(event) {
    if (event.ctrlKey || event.metaKey) this.by(Math.exp(-event.deltaY / 200), event);
    else if (this.scale > 1) this.move(-event.deltaX, -event.deltaY);
    else return;
    event.preventDefault();
  }

  apply() {
    const { clientWidth: width, clientHeight: height } = this.frame;
    this.x = Math.min(Math.max(this.x, width * (1 - this.scale)), 0);
    this.y = Math.min(Math.max(this.y, height * (1 - this.scale)), 0);
    this.view.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.view.style.setProperty("--zoom", this.scale);
    document.getElementById("zoom-out").disabled = this.scale === 1;
    document.getElementById("zoom-in").disabled = this.scale === MOST;
  }
}
