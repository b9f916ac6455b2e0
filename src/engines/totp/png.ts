/** A QR code as a picture: PNG (ISO/IEC 15948) in black and white, one bit for each pixel. Pure. */

import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The light margin that readers look for, in modules on each side (ISO/IEC 18004 section 9.1). */
const QUIET = 4;

/**
 * @param code rows of modules, true for dark
 * @param pixels width and height of the picture; what the code does not fill is light
 * @returns undefined where a module would be smaller than a pixel. The quiet zone shrinks before that.
 */
export function drawing(code: readonly (readonly boolean[])[], pixels: number): Buffer | undefined {
  if (pixels < code.length) return undefined;
  const scale = Math.max(1, Math.floor(pixels / (code.length + 2 * QUIET)));
  const margin = Math.floor((pixels - code.length * scale) / 2);
  const stride = 1 + Math.ceil(pixels / 8);
  // Each row begins with its filter, none; a set bit is light.
  const rows = Buffer.alloc(stride * pixels, 0xff);
  for (let y = 0; y < pixels; y++) {
    rows[y * stride] = 0;
    const modules = code[Math.floor((y - margin) / scale)];
    if (modules === undefined) continue;
    for (let x = margin; x < margin + code.length * scale; x++) {
      if (modules[Math.floor((x - margin) / scale)] !== true) continue;
      const at = y * stride + 1 + (x >> 3);
      rows[at] = (rows[at] ?? 0) & ~(0x80 >> (x & 7));
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(pixels, 0);
  head.writeUInt32BE(pixels, 4);
  head[8] = 1;
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
