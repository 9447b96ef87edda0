import assert from 'node:assert/strict';
import test from 'node:test';
import { type Box, bounds, drawOut, pack, parts, spread, turn } from '../../../ui-static/src/placing';

const box = (id: string, x: number, y: number, width = 100, height = 80): Box => ({ id, x, y, width, height });
const overlap = (a: Box, b: Box): boolean =>
  Math.abs(a.x - b.x) < (a.width + b.width) / 2 - 1 && Math.abs(a.y - b.y) < (a.height + b.height) / 2 - 1;
const overlaps = (boxes: Box[]): string[] =>
  boxes.flatMap((a, i) => boxes.slice(i + 1).flatMap((b) => (overlap(a, b) ? [`${a.id} ${b.id}`] : [])));

test('what hangs together is one part, from its most connected node on', () => {
  const nodes = ['a', 'b', 'c', 'd', 'x', 'y'];

  const found = parts(nodes, [['x', 'y'], ['a', 'c'], ['c', 'b'], ['d', 'c'], ['a', 'a']]);

  assert.deepEqual(found, [['c', 'a', 'b', 'd'], ['x', 'y']]);
});

test('the parts are the same in whatever order nodes and edges come', () => {
  const one = parts(['a', 'b', 'c'], [['a', 'b'], ['b', 'c']]);
  const other = parts(['c', 'b', 'a'], [['b', 'c'], ['a', 'b']]);

  assert.deepEqual(one, other);
});

test('boxes on each other are moved apart, also those at the same place', () => {
  const boxes = [box('a', 0, 0), box('b', 0, 0), box('c', 10, 5), box('d', 400, 0)];

  spread(boxes);

  assert.deepEqual(overlaps(boxes), []);
  assert.deepEqual([boxes[3]?.x, boxes[3]?.y], [400, 0]);
});

test('a hundred nodes in a heap find room without going far', () => {
  const boxes = Array.from({ length: 100 }, (_, i) => box(`n${i}`, (i % 10) * 60, Math.floor(i / 10) * 60));

  drawOut(boxes);
  spread(boxes);

  assert.deepEqual(overlaps(boxes), []);
  const { left, right, bottom, top } = bounds(boxes);
  assert.ok((right - left) * (top - bottom) < 3 * 100 * 100 * 80, 'they take at most three times their room');
});

test('a part is turned to lie in a wide window and to stand in a high one', () => {
  const diagonal = (): Box[] => [0, 1, 2, 3].map((i) => box(`n${i}`, i * 100, i * 100, 10, 10));
  const lying = diagonal();
  const standing = diagonal();

  turn(lying, true);
  turn(standing, false);

  const wide = bounds(lying);
  const high = bounds(standing);
  assert.ok(wide.right - wide.left > 400 && wide.top - wide.bottom < 20);
  assert.ok(high.top - high.bottom > 400 && high.right - high.left < 20);
});

test('parts are beside each other, in about the shape of the window', () => {
  const all = Array.from({ length: 24 }, (_, i) => [box(`a${i}`, 0, 0), box(`b${i}`, 120, 0)]);
  const boxes = all.flat();

  pack(all, 2);

  assert.deepEqual(overlaps(boxes), []);
  const { left, right, bottom, top } = bounds(boxes);
  const shape = (right - left) / (top - bottom);
  assert.ok(shape > 1.2 && shape < 3.2, `${shape}`);
  assert.ok(Math.abs((boxes[1]?.x ?? 0) - (boxes[0]?.x ?? 0) - 120) < 1e-6, 'a part is moved as one');
});
