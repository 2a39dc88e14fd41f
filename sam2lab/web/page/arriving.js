// The ways in which photos arrive: examples, files, drops, pastes and the camera.

import { bytesOf } from "../model/fetching.js";
import { SETTINGS, sourceOf } from "./carried.js";

const $ = (id) => document.getElementById(id);

// `open(blob, name)` takes a photo, `fail(error)` what went wrong.
export function listen(open, fail) {
  const take = (files) => {
    const file = [...files].find((each) => each.type.startsWith("image/")) ?? files[0];
    if (file) open(file, file.name || "photo.png");
    else fail(new Error("There is no picture in it. Drop or paste a photo, or open a file."));
  };
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files.length) take($("file").files);
    // The same file may be chosen again.
    $("file").value = "";
  });
  listenToDrops(take);
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
    else if (!event.target.matches("input")) take([]);
  });
  $("camera").addEventListener("click", () => useCamera(open).catch(fail));
}

// Buttons with small pictures of the examples; `open` takes one.
export async function showExamples(open, fail) {
  for (const { file, name, title } of SETTINGS.photos) {
    const blob = new Blob([await bytesOf(sourceOf(file))], { type: "image/jpeg" });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "example";
    button.title = title;
    button.dataset.name = name;
    const picture = document.createElement("img");
    picture.src = URL.createObjectURL(blob);
    picture.alt = title;
    button.append(picture);
    button.addEventListener("click", () => open(blob, name));
    $("examples").append(button);
    // The first one is opened by itself, so that there is something to click on.
    if (button.matches(":first-child")) open(blob, name).catch(fail);
  }
}

function listenToDrops(take) {
  let depth = 0;
  const isFile = (event) => [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!isFile(event)) return;
    depth++;
    $("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (isFile(event) && --depth <= 0) $("drop").hidden = true;
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    $("drop").hidden = true;
    take(event.dataTransfer.files);
  });
}

async function useCamera(open) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The browser did not allow it. Allow the camera for this page",
      NotFoundError: "There is no camera. Open a photo instead",
      NotReadableError: "Another program uses the camera. Close it",
    };
    const other = "Browsers give a camera only to pages of https and of this computer";
    throw new Error(`No picture from the camera. ${reasons[error.name] ?? other}.`);
  }
  const [dialog, video] = [$("camera-dialog"), $("video")];
  // Until the first picture is there, the video has no size.
  $("shoot").disabled = true;
  video.onloadeddata = () => {
    $("shoot").disabled = false;
  };
  video.srcObject = stream;
  dialog.showModal();
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  dialog.addEventListener("close", stop, { once: true });
  $("shoot").onclick = async () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    open(await canvas.convertToBlob({ type: "image/png" }), "camera.png");
  };
}
