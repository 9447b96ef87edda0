import assert from 'node:assert/strict';
import test from 'node:test';
import * as format from '../../../ui-static/src/format';

test('one is not several', () => {
  assert.equal(format.counted(1, 'edge'), '1 edge');
  assert.equal(format.counted(0, 'edge'), '0 edges');
  assert.equal(format.counted(1, 'process', 'processes'), '1 process');
  assert.equal(format.counted(2, 'process', 'processes'), '2 processes');
});

test('bytes are told in the unit that leaves few digits', () => {
  assert.equal(format.bytes(0), '0 B');
  assert.equal(format.bytes(1023), '1023 B');
  assert.equal(format.bytes(1536), '1.5 KiB');
  assert.equal(format.bytes(300 * 1024 ** 2), '300 MiB');
  assert.equal(format.bytes(5000 * 1024 ** 4), '5000 TiB');
});

test('durations are told in their two largest units', () => {
  assert.equal(format.duration(59.9), '59 s');
  assert.equal(format.duration(60), '1 min');
  assert.equal(format.duration(3 * 3600 + 120), '3 h 2 min');
  assert.equal(format.duration(2 * 86400 + 3600), '2 d 1 h');
});
