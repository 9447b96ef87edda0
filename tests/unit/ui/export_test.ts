import assert from 'node:assert/strict';
import test from 'node:test';
import { type DrawnNode, csvOf, svgOf } from '../../../ui-static/src/export';

const node = (x: number, y: number, label: string): DrawnNode => ({ x, y, radius: 10, label, minor: '', fill: '#111', stroke: '#222' });
const look = { background: '#fff', text: '#000', dim: '#555' };

test('a graph is drawn with all of its nodes, also those left of the window, and with its edges', () => {
  const [a, b] = [node(-200, 0, 'a'), node(100, 50, 'b')];

  const svg = svgOf({ ...look, nodes: [a as DrawnNode, b as DrawnNode], edges: [{ from: a as DrawnNode, to: b as DrawnNode, width: 2, color: '#f00', label: '3 ms' }] });

  assert.match(svg, /^<svg [^>]*viewBox="-270 -70 440 190"/);
  assert.equal(svg.match(/<circle /g)?.length, 2);
  assert.match(svg, /<line x1="-200" y1="0" [^>]*stroke="#f00"/);
  assert.match(svg, />3 ms<\/text>/);
});

test("what hosts call things is text in a drawing, whatever it looks like", () => {
  const svg = svgOf({ ...look, nodes: [node(0, 0, '<script>alert("&")</script>')], edges: [] });

  assert.doesNotMatch(svg, /<script/);
  assert.match(svg, /&lt;script&gt;alert\(&quot;&amp;&quot;\)/);
});

test('two nodes in one place are an edge of no length', () => {
  const a = node(5, 5, 'a');

  assert.doesNotMatch(svgOf({ ...look, nodes: [a], edges: [{ from: a, to: a, width: 1, color: '#000', label: '' }] }), /NaN/);
});

test('nothing is an empty drawing', () => assert.match(svgOf({ ...look, nodes: [], edges: [] }), /viewBox="-60 -60 120 120"/));

test('rows are quoted where they must be', () => {
  assert.equal(csvOf([['a', 'b,c'], ['say "x"', 'two\nlines']]), 'a,"b,c"\r\n"say ""x""","two\nlines"\r\n');
});

test('a spreadsheet computes nothing of what hosts call things', () => {
  assert.equal(csvOf([['=1+1', '@x', '-3.5', '-rm']]), "'=1+1,'@x,-3.5,'-rm\r\n");
});
