import assert from 'node:assert/strict';
import test from 'node:test';
import { toggled } from '../../../ui-static/src/choice';

test('a value is chosen beside the others, and no longer when it is chosen again', () => {
  assert.equal(toggled('', 'shop'), 'shop');
  assert.equal(toggled('shop', 'bar'), 'bar,shop');
  assert.equal(toggled('bar,shop', 'shop'), 'bar');
  assert.equal(toggled('bar', 'bar'), '');
});

test('all is none in particular', () => assert.equal(toggled('bar,shop', ''), ''));
