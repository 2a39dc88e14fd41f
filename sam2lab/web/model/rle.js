// Masks as COCO's run lengths: the twin of runtime/rle.py, and of pycocotools' packed text.

// The lengths of runs down the columns of a photo of `[height, width]`, background first.
export function encode(mask, [height, width]) {
  const counts = [];
  let [inside, since] = [0, 0];
  for (let x = 0; x < mask.width; x++) {
    const column = (mask.x + x) * height;
    // One step beyond the last row ends a run there, unless the next column goes on with it.
    for (let y = 0; y <= mask.height; y++) {
      const bit = y < mask.height ? mask.bits[y * mask.width + x] : 0;
      const at = column + mask.y + y;
      if (bit === inside || at >= height * width) continue;
      counts.push(at - since);
      [inside, since] = [bit, at];
    }
  }
  counts.push(height * width - since);
  return joined(counts);
}

// Counts without runs of length 0, but for the first: a run that went on in the next column.
function joined(counts) {
  const kept = [counts[0]];
  for (let i = 1; i < counts.length; i++) {
    if (counts[i] === 0 && i + 1 < counts.length) {
      kept[kept.length - 1] += counts[++i];
    } else {
      kept.push(counts[i]);
    }
  }
  return kept;
}

// pycocotools' text of run lengths: differences to the last but one, five bits a character.
export function packed(counts) {
  let text = "";
  counts.forEach((count, i) => {
    let value = i > 2 ? count - counts[i - 2] : count;
    for (let more = true; more; ) {
      let bits = value & 0x1f;
      value >>= 5;
      more = bits & 0x10 ? value !== -1 : value !== 0;
      if (more) bits |= 0x20;
      text += String.fromCharCode(bits + 48);
    }
  });
  return text;
}

// COCO's box [left, top, width, height] of a mask, all zero for an empty one.
export function boundingBox(mask) {
  let [left, top, right, bottom] = [mask.width, mask.height, 0, 0];
  for (let y = 0, at = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++, at++) {
      if (!mask.bits[at]) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), y + 1];
    }
  }
  return bottom ? [mask.x + left, mask.y + top, right - left, bottom - top] : [0, 0, 0, 0];
}
