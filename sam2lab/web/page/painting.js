// Paints masks in colours, with an outline, into a canvas of the size at which the photo is shown.

// Paint `mask` with the colour #rrggbb; `strength` is from 0 to 1, `line` the outline's width.
export function paint(pen, mask, colour, strength, line) {
  if (!mask?.width) return;
  const rgb = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const image = new ImageData(mask.width, mask.height);
  const pixels = new Uint32Array(image.data.buffer);
  const [inside, edge] = [coloured(rgb, strength), coloured(rgb, Math.min(1, strength + 0.5))];
  const { bits, width, height } = mask;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!bits[at]) continue;
      const isInside =
        (x < line || bits[at - line]) &&
        (x + line >= width || bits[at + line]) &&
        (y < line || bits[at - line * width]) &&
        (y + line >= height || bits[at + line * width]);
      pixels[at] = isInside ? inside : edge;
    }
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  pen.drawImage(canvas, mask.x, mask.y);
}

// A colour as the four bytes of a pixel.
function coloured([red, green, blue], alpha) {
  const bytes = Uint8ClampedArray.of(red, green, blue, 255 * alpha);
  return new Uint32Array(bytes.buffer)[0];
}
