// What the page carries: its settings, and in a page of a single file the other files too.

// The settings, which Python wrote.
export const SETTINGS = JSON.parse(document.getElementById("settings").textContent);

// A file's bytes in base64 where the page carries them, or undefined.
export function carried(name) {
  return document.getElementById(`file-${name}`)?.textContent;
}

// Where a file is, as `bytesOf` takes it.
export function sourceOf(name) {
  const base64 = carried(name);
  return base64 ? { base64 } : { url: new URL(SETTINGS.files[name], document.baseURI).href };
}
