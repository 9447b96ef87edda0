// What is shown as a file: the graph as SVG, the table as CSV. Pure but for `save`.

export interface DrawnNode {
  x: number;
  y: number;
  radius: number;
  label: string;
  minor: string;
  fill: string;
  stroke: string;
}

export interface DrawnEdge {
  from: DrawnNode;
  to: DrawnNode;
  width: number;
  color: string;
  label: string;
}

export interface Drawing {
  nodes: DrawnNode[];
  edges: DrawnEdge[];
  background: string;
  text: string;
  dim: string;
}

const MARGIN = 60;
const FONT = 12;

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => ESCAPES[sign] ?? sign);
const number = (value: number): string => value.toFixed(1).replace(/\.0$/, '');

function edgeSvg({ from, to, width, color, label }: DrawnEdge, dim: string): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [along, across] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const tip = { x: to.x - along * to.radius, y: to.y - across * to.radius };
  const head = width * 3 + 3;
  const base = { x: tip.x - along * head, y: tip.y - across * head };
  const side = head / 2.4;
  const corners = [
    [tip.x, tip.y],
    [base.x - across * side, base.y + along * side],
    [base.x + across * side, base.y - along * side],
  ];
  const points = corners.map((corner) => corner.map(number).join(',')).join(' ');
  const ends = `x1="${number(from.x)}" y1="${number(from.y)}" x2="${number(base.x)}" y2="${number(base.y)}"`;
  const words = label
    ? `<text x="${number((from.x + to.x) / 2)}" y="${number((from.y + to.y) / 2)}" fill="${dim}" font-size="${FONT - 1}">${escaped(label)}</text>`
    : '';
  return `<line ${ends} stroke="${color}" stroke-width="${number(width)}"/><polygon points="${points}" fill="${color}"/>${words}`;
}

function nodeSvg({ x, y, radius, label, minor, fill, stroke }: DrawnNode, { text, dim }: Drawing): string {
  const top = y + radius + FONT + 3;
  const line = (words: string, at: number, look: string): string =>
    words ? `<text x="${number(x)}" y="${number(at)}" ${look}>${escaped(words)}</text>` : '';
  return (
    `<circle cx="${number(x)}" cy="${number(y)}" r="${number(radius)}" fill="${fill}" stroke="${stroke}" stroke-width="2"/>` +
    line(label, top, `fill="${text}" font-weight="600"`) +
    line(minor, top + FONT + 1, `fill="${dim}" font-size="${FONT - 2}"`)
  );
}

/** All of the graph, also what is outside of the window, as it stands there. */
export function svgOf(drawing: Drawing): string {
  const { nodes, edges, background, dim } = drawing;
  const left = Math.min(0, ...nodes.map((node) => node.x - node.radius)) - MARGIN;
  const top = Math.min(0, ...nodes.map((node) => node.y - node.radius)) - MARGIN;
  const width = Math.max(0, ...nodes.map((node) => node.x + node.radius)) + MARGIN - left;
  const height = Math.max(0, ...nodes.map((node) => node.y + node.radius)) + MARGIN - top;
  const box = [left, top, width, height].map(number);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box.join(' ')}" width="${box[2]}" height="${box[3]}" font-family="system-ui, sans-serif" font-size="${FONT}" text-anchor="middle">`,
    `<rect x="${box[0]}" y="${box[1]}" width="${box[2]}" height="${box[3]}" fill="${background}"/>`,
    ...edges.map((edge) => edgeSvg(edge, dim)),
    ...nodes.map((node) => nodeSvg(node, drawing)),
    '</svg>',
  ].join('\n');
}

// What spreadsheets would take for a formula is a text to them behind an apostrophe.
const cell = (text: string): string => {
  const plain = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
};

/** RFC 4180. */
export const csvOf = (rows: string[][]): string => rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** Hands a text to the browser as a file to be kept. */
export function save(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
