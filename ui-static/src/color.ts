// A colour per rank: the whole text decides (FNV-1a), so that similar names differ.

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  return value >>> 0;
}

// Twelve hues that stay apart for people with colour blindness better than an even circle does;
// red is left to what is wrong.
const HUES = [174, 205, 262, 38, 320, 96, 225, 56, 190, 285, 150, 20];

export interface Paint {
  ring: string;
  body: string;
}

function hex(h: number, s: number, l: number): string {
  const f = (n: number): string => {
    const k = (n + h / 30) % 12;
    const a = s * Math.min(l, 1 - l);
    const value = l - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${f(0)}${f(8)}${f(4)}`;
}

export function paint(rank: string, pseudo: boolean, dark: boolean): Paint {
  if (pseudo) {
    return dark ? { ring: '#8b98a9', body: '#1d2530' } : { ring: '#7b8794', body: '#eef1f4' };
  }
  const value = hash(rank);
  const hue = HUES[value % HUES.length] ?? 174;
  const shade = ((value >>> 8) % 7) / 100;
  return dark
    ? { ring: hex(hue, 0.62, 0.6 + shade), body: hex(hue, 0.34, 0.19) }
    : { ring: hex(hue, 0.62, 0.4 + shade), body: hex(hue, 0.55, 0.93) };
}
