// Files to save, of the same names and contents as the clicker's in widgets/formats/.
//
// `objects` are [{number, name, colour, mask, score}] with masks of the photo's own size.

import { areaOf } from "../model/enlarge.js";
import { boundingBox, encode, packed } from "../model/rle.js";
import { encodePng } from "./png.js";

// One object in white on black.
export async function maskFile(photo, object) {
  const pixels = new Uint8Array(photo.width * photo.height);
  fill(pixels, photo, object.mask, 255);
  const blob = await encodePng(pixels, photo.width, photo.height);
  return { name: `${stem(photo)}_${object.number}_${safe(object.name)}.png`, blob };
}

// All objects in one picture: 0 is none, n the n-th; where they overlap, the later one.
export async function labelsFile(photo, objects) {
  const pixels = new Uint8Array(photo.width * photo.height);
  if (objects.length > 255) throw new Error("One PNG has room for 255 objects. Save COCO JSON.");
  objects.forEach((object, at) => fill(pixels, photo, object.mask, at + 1));
  const colours = objects.map(({ colour }) =>
    [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)),
  );
  const blob = await encodePng(pixels, photo.width, photo.height, [[0, 0, 0], ...colours]);
  return { name: `${stem(photo)}_labels.png`, blob };
}

// One object's own pixels, cropped to its box and transparent around it.
export async function cutoutFile(photo, object) {
  const [left, top, width, height] = boundingBox(object.mask);
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  const bitmap = await photo.bitmap();
  pen.drawImage(bitmap, -left, -top);
  bitmap.close();
  const image = pen.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const { mask } = object;
  for (let y = 0, at = 0; y < height; y++) {
    const row = (top + y - mask.y) * mask.width + left - mask.x;
    for (let x = 0; x < width; x++, at++) if (!mask.bits[row + x]) pixels[at] = 0;
  }
  pen.putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  return { name: `${stem(photo)}_${object.number}_${safe(object.name)}_cutout.png`, blob };
}

// All objects as COCO JSON with packed run lengths.
export function cocoFile(photo, objects) {
  const names = [...new Set(objects.map(({ name }) => name))];
  const { name: file, width, height } = photo;
  const content = {
    images: [{ id: 1, file_name: file, height, width }],
    annotations: objects.map(({ name, mask, score }, at) => ({
      id: at + 1,
      image_id: 1,
      category_id: 1 + names.indexOf(name),
      segmentation: { size: [height, width], counts: packed(encode(mask, photo.size)) },
      area: areaOf(mask),
      bbox: boundingBox(mask),
      iscrowd: 0,
      score,
    })),
    categories: names.map((name, at) => ({ id: at + 1, name })),
  };
  const blob = new Blob([JSON.stringify(content)], { type: "application/json" });
  return { name: `${stem(photo)}_coco.json`, blob };
}

// Hand a file to the user.
export function save({ name, blob }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers begin to read only later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fill(pixels, photo, mask, value) {
  for (let y = 0, at = 0; y < mask.height; y++) {
    let to = (mask.y + y) * photo.width + mask.x;
    for (let x = 0; x < mask.width; x++, at++, to++) if (mask.bits[at]) pixels[to] = value;
  }
}

function stem({ name }) {
  return safe(name.replace(/\.[^.]*$/, ""));
}

// A name without characters that mean something to file systems or shells.
function safe(name) {
  return name.replace(/[^\p{L}\p{N}_.-]+/gu, "_").replace(/^[._]+|[._]+$/g, "") || "image";
}
