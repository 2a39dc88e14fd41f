// Turns a file's bytes into a photo: its size, and a canvas that shows it.

// Larger photos are shown smaller; what is computed and saved has all their pixels.
const SHOWN_AT_MOST = 2048;

let count = 0;

// A photo {key, name, width, height, size: [height, width], canvas, bitmap()}.
export async function readPhoto(blob, name) {
  // Pixels as they are stored: the model was taught without colour profiles.
  const how = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, how);
  } catch {
    const kind = blob.type ? `, which says it is ${blob.type}` : "";
    throw new Error(
      `This browser cannot show ${name}${kind}. Save it as JPEG or PNG, and open that.`,
    );
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, SHOWN_AT_MOST / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  // Kept once for the model, which takes it away; read again where it is wanted again.
  let first = bitmap;
  const again = () => createImageBitmap(blob, how);
  return {
    key: ++count,
    name,
    width,
    height,
    size: [height, width],
    shown: [canvas.height, canvas.width],
    canvas,
    async bitmap() {
      const given = first ?? (await again());
      first = null;
      return given;
    },
  };
}
