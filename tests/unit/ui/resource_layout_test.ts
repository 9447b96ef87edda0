import assert from 'node:assert/strict';
import test from 'node:test';
import type { Summary } from '../../../ui-static/src/api';
import * as layout from '../../../ui-static/src/resource-layout';

const GIB = 1024 ** 3;
const WIDTH = 1000;

const percent = (value: number) => ({ id: 'cpu', label: 'CPU', format: 'percent' as const, value, max: 100 });
const bytes = (value: number, max = 0) => ({ id: 'mem', label: 'Memory', format: 'filesize' as const, value, max });
const node = (id: string, rest: Partial<Summary>): Summary => ({ id, label: id, labelMinor: '', rank: id, shape: '', ...rest });

const host = (id: string, { cpus = 1, cpu = 0, memory = 0, total = 4 * GIB }): Summary =>
  node(`${id};<host>`, {
    label: id,
    metrics: [percent(cpu), bytes(memory, total), { id: 'load1', label: 'Load', value: 0, max: cpus }],
  });
const on = (hostId: string) => ({ id: `${hostId};<host>`, label: hostId, topologyId: 'hosts' });
const container = (id: string, hostId: string, { cpu = 0, memory = 0 }): Summary =>
  node(id, { metrics: [percent(cpu), bytes(memory)], parents: [on(hostId)] });
const process = (id: string, hostId: string, inside: string, { cpu = 0, memory = 0 }): Summary =>
  node(id, {
    metrics: [percent(cpu), bytes(memory)],
    parents: [...(inside ? [{ id: inside, label: inside, topologyId: 'containers' }] : []), on(hostId)],
  });

const build = (layers: Partial<layout.Layers>, kind: layout.Kind = 'memory', order = new Map<string, number>()) =>
  layout.build({ hosts: [], containers: [], processes: [], ...layers }, kind, order);
const near = (actual: number | undefined, expected: number): void =>
  assert.ok(Math.abs((actual ?? NaN) - expected) < 0.01, `${actual} is ${expected}`);
const box = (boxes: layout.Box[], key: string): layout.Box => {
  const found = boxes.find((one) => one.key === key);
  assert.ok(found, `${key} is among ${boxes.map((one) => one.key).join(', ')}`);
  return found;
};

test('hosts are as wide as what they have, with gaps between them, and fill the window', () => {
  const boxes = layout.place(build({ hosts: [host('a', { total: 4 * GIB }), host('b', { total: 12 * GIB })] }), WIDTH, 1, 'all');

  near(box(boxes, 'a;<host>').width, (WIDTH - 8) / 4);
  near(box(boxes, 'b;<host>').width, ((WIDTH - 8) * 3) / 4);
  near(box(boxes, 'b;<host>').x + box(boxes, 'b;<host>').width, WIDTH);
});

test('what stands on a host is as wide as what it uses, and stands on what it belongs to', () => {
  const boxes = layout.place(
    build({
      hosts: [host('a', { total: 4 * GIB })],
      containers: [container('web', 'a', { memory: GIB }), container('db', 'a', { memory: 2 * GIB })],
      processes: [process('a;1', 'a', 'web', { memory: GIB / 2 })],
    }),
    WIDTH,
    1,
    'all',
  );

  near(box(boxes, 'db').width, WIDTH / 2);
  near(box(boxes, 'web').width, WIDTH / 4);
  near(box(boxes, 'a;1').width, WIDTH / 8);
  near(box(boxes, 'a;1').x, box(boxes, 'web').x);
  assert.deepEqual(
    ['a;<host>', 'web', 'a;1'].map((key) => box(boxes, key).level),
    [0, 1, 2],
  );
  assert.equal(boxes[box(boxes, 'a;1').parent ?? -1]?.key, 'web');
});

test('hosts can be as wide as what is used of them', () => {
  const hosts = build({
    hosts: [host('a', { total: 4 * GIB }), host('b', { total: 400 * GIB })],
    containers: [container('web', 'a', { memory: 3 * GIB }), container('db', 'b', { memory: GIB })],
  });

  const boxes = layout.place(hosts, WIDTH, 1, 'used');

  near(box(boxes, 'a;<host>').width, ((WIDTH - 8) * 3) / 4);
  near(box(boxes, 'web').width, box(boxes, 'a;<host>').width);
  near(box(boxes, 'db').width, (WIDTH - 8) / 4);
});

test('of CPU a host has a hundred percent for each, and its own use is of all of them', () => {
  const [item] = build({ hosts: [host('a', { cpus: 4, cpu: 50 })], containers: [container('web', 'a', { cpu: 100 })] }, 'cpu');
  const boxes = layout.place([item as layout.Item], WIDTH, 1, 'all');

  assert.equal(item?.size, 400);
  assert.equal(item?.used, 200);
  near(box(boxes, 'web').width, WIDTH / 4);
});

test('what uses more than there is below it is made to fit', () => {
  const boxes = layout.place(
    build({
      hosts: [host('a', { total: 4 * GIB })],
      containers: [container('web', 'a', { memory: GIB })],
      processes: [process('a;1', 'a', 'web', { memory: GIB }), process('a;2', 'a', 'web', { memory: GIB })],
    }),
    WIDTH,
    1,
    'all',
  );

  near(box(boxes, 'a;1').width + box(boxes, 'a;2').width, box(boxes, 'web').width);
});

test('processes in no container stand on one box of their host', () => {
  const boxes = layout.place(
    build({
      hosts: [host('a', {}), host('b', {})],
      processes: [process('a;1', 'a', '', { memory: GIB }), process('a;2', 'a', 'unheard-of', { memory: GIB })],
    }),
    WIDTH,
    1,
    'all',
  );

  const rest = box(boxes, 'pseudo:uncontained:a');
  assert.equal(rest.used, 2 * GIB);
  assert.equal(boxes[box(boxes, 'a;2').parent ?? -1], rest);
  assert.ok(!boxes.some((one) => one.key === 'pseudo:uncontained:b'));
});

test('what belongs to a host that has not reported is left out', () => {
  const items = build({ hosts: [host('a', {})], containers: [container('web', 'gone', { memory: GIB })] });

  assert.deepEqual(items[0]?.children, []);
});

test('what is too narrow is one box, which comes apart when looked at closely', () => {
  const small = Array.from({ length: 20 }, (_, index) => container(`c${index}`, 'a', { memory: GIB / 250 }));
  const hosts = build({ hosts: [host('a', { total: 4 * GIB })], containers: small });

  const far = layout.place(hosts, WIDTH, 1, 'all');
  const close = layout.place(hosts, WIDTH, 10, 'all');

  assert.deepEqual(
    far.map((one) => [one.key, one.count]),
    [
      ['a;<host>', 1],
      ['a;<host>\nrest', 20],
    ],
  );
  near(far[1]?.width, WIDTH / 50);
  assert.equal(close.length, 21);
});

test('boxes keep their places while what they use changes, and new ones come behind', () => {
  const order = new Map<string, number>();
  const at = (sizes: Record<string, number>): string[] => {
    const containers = Object.entries(sizes).map(([id, memory]) => container(id, 'a', { memory }));
    return build({ hosts: [host('a', {})], containers }, 'memory', order)[0]?.children.map((item) => item.id) ?? [];
  };

  assert.deepEqual(at({ small: 1, large: 3, middle: 2 }), ['large', 'middle', 'small']);
  assert.deepEqual(at({ small: 9, large: 3, middle: 2, newest: 99 }), ['large', 'middle', 'small', 'newest']);
  assert.deepEqual(at({ large: 3 }), ['large']);
  assert.deepEqual([...order.keys()], ['large']);
});

test('nothing is drawn without hosts, without a window, and of hosts that say nothing', () => {
  assert.deepEqual(layout.place([], WIDTH, 1, 'all'), []);
  assert.deepEqual(layout.place(build({ hosts: [host('a', {})] }), 0, 1, 'all'), []);
  assert.deepEqual(layout.place(build({ hosts: [node('a;<host>', {})] }), WIDTH, 1, 'all'), []);
});

test('a thousand hosts have room beside their gaps', () => {
  const hosts = Array.from({ length: 1000 }, (_, index) => host(`h${index}`, {}));

  const boxes = layout.place(build({ hosts }), WIDTH, 1, 'all');

  assert.equal(boxes.length, 1000);
  assert.ok(boxes.every((one) => one.width > 0.8));
});

test('zooming keeps what is under the pointer there, within what there is', () => {
  const close = layout.zoomed({ zoom: 1, left: 0 }, 4, 250, WIDTH);
  assert.deepEqual(close, { zoom: 4, left: 750 });
  assert.deepEqual(layout.zoomed(close, 1 / 4, 250, WIDTH), { zoom: 1, left: 0 });
  assert.deepEqual(layout.zoomed(close, 0.01, 900, WIDTH), { zoom: 1, left: 0 });
  assert.deepEqual(layout.bounded({ zoom: 2, left: 5000 }, WIDTH), { zoom: 2, left: 1000 });
});

test('a box that is gone to is in the window; one that is opened fills most of it', () => {
  const boxes = layout.place(
    build({ hosts: [host('a', {})], containers: [container('web', 'a', { memory: 3 * GIB }), container('db', 'a', { memory: GIB })] }),
    WIDTH,
    4,
    'all',
  );
  const db = box(boxes, 'db');

  const moved = layout.showing(db, { zoom: 4, left: 0 }, WIDTH);
  assert.equal(moved.left + WIDTH, db.x + db.width);
  assert.equal(layout.showing(db, moved, WIDTH), moved);

  const near4 = layout.closeTo(db, { zoom: 4, left: 0 }, WIDTH);
  near((db.width / 4) * near4.zoom, WIDTH * 0.8);
  near((db.x / 4) * near4.zoom - near4.left, WIDTH * 0.2); // The last box: nothing is right of it.
});

test('arrows lead to what stands on a box, below it and beside it', () => {
  const boxes = layout.place(
    build({
      hosts: [host('a', {}), host('b', {})],
      containers: [container('web', 'a', { memory: 2 * GIB }), container('db', 'b', { memory: GIB })],
      processes: [process('a;1', 'a', 'web', { memory: GIB })],
    }),
    WIDTH,
    1,
    'all',
  );
  const go = (from: string, way: layout.Way) => boxes[layout.neighbour(boxes, boxes.indexOf(box(boxes, from)), way)]?.key;

  assert.equal(go('a;<host>', 'up'), 'web');
  assert.equal(go('web', 'up'), 'a;1');
  assert.equal(go('a;1', 'up'), 'a;1');
  assert.equal(go('a;1', 'down'), 'web');
  assert.equal(go('web', 'right'), 'db');
  assert.equal(go('db', 'right'), 'db');
  assert.equal(go('db', 'first'), 'web');
  assert.equal(go('a;<host>', 'last'), 'b;<host>');
  assert.equal(boxes[layout.neighbour(boxes, -1, 'up')]?.key, 'a;<host>');
});
