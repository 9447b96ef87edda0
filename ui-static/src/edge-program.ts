// Draws an edge: a line that ends in an arrow's head at the rim of the node it leads to. Each vertex carries all of its
// edge, where Sigma's own programs draw instances: software that stands for a graphics processor takes as long for an
// instance as for hundreds of vertices. Edges are not asked for by the pointer and have no numbers to pick.
import { EdgeProgram, type ProgramInfo } from 'sigma/rendering';
import type { EdgeDisplayData, NodeDisplayData, RenderParams } from 'sigma/types';
import { floatColor } from 'sigma/utils';

// A corner says where along the edge it is (0 its beginning, 1 where the head begins, 2 its tip) and how many
// thicknesses beside it.
const LINE = [[0, -1], [0, 1], [1, -1], [0, 1], [1, -1], [1, 1]] as const;
const HEAD = [[1, -2], [1, 2], [2, 0]] as const;
const CORNERS = [...LINE, ...HEAD];

const VERTEX = /* glsl */ `
attribute vec2 a_from;
attribute vec2 a_to;
attribute vec2 a_corner;
attribute float a_thickness;
attribute float a_radius;
attribute vec4 a_color;
uniform mat3 u_matrix;
uniform float u_pixel;
uniform float u_thicknessMin;
uniform float u_feather;
varying vec4 v_color;
varying float v_across;
varying float v_feather;
const float bias = 255.0 / 254.0;
const float headLength = 5.0;
void main() {
  float thickness = max(a_thickness * u_pixel, u_thicknessMin);
  float length = distance(a_from, a_to);
  vec2 along = length > 0.0 ? (a_to - a_from) / length : vec2(0.0);
  float tip = length - a_radius * u_pixel * 2.0;
  float at = a_corner.x < 0.5 ? 0.0 : a_corner.x < 1.5 ? tip - thickness * headLength : tip;
  vec2 position = a_from + along * at + vec2(-along.y, along.x) * a_corner.y * thickness;
  gl_Position = vec4((u_matrix * vec3(position, 1.0)).xy, 0.0, 1.0);
  v_across = abs(a_corner.y) == 1.0 ? a_corner.y : 0.0;
  v_feather = min(1.0, u_feather / thickness);
  v_color = a_color;
  v_color.a *= bias;
}`;

const FRAGMENT = /* glsl */ `
precision mediump float;
varying vec4 v_color;
varying float v_across;
varying float v_feather;
void main(void) {
  gl_FragColor = v_color * (1.0 - smoothstep(1.0 - v_feather, 1.0, abs(v_across)));
}`;

const UNIFORMS = ['u_matrix', 'u_pixel', 'u_thicknessMin', 'u_feather'] as const;
type Uniform = (typeof UNIFORMS)[number];

export class ArrowProgram extends EdgeProgram<Uniform> {
  getDefinition() {
    const { FLOAT, UNSIGNED_BYTE, TRIANGLES } = WebGLRenderingContext;
    return {
      VERTICES: CORNERS.length,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: TRIANGLES as number,
      UNIFORMS,
      ATTRIBUTES: [
        { name: 'a_from', size: 2, type: FLOAT as number },
        { name: 'a_to', size: 2, type: FLOAT as number },
        { name: 'a_corner', size: 2, type: FLOAT as number },
        { name: 'a_thickness', size: 1, type: FLOAT as number },
        { name: 'a_radius', size: 1, type: FLOAT as number },
        { name: 'a_color', size: 4, type: UNSIGNED_BYTE as number, normalized: true },
      ],
    };
  }

  processVisibleItem(_: number, start: number, from: NodeDisplayData, to: NodeDisplayData, edge: EdgeDisplayData): void {
    const { array } = this;
    const color = floatColor(edge.color);
    let next = start;
    for (const [along, across] of CORNERS) {
      array[next++] = from.x;
      array[next++] = from.y;
      array[next++] = to.x;
      array[next++] = to.y;
      array[next++] = along;
      array[next++] = across;
      array[next++] = edge.size;
      array[next++] = to.size;
      array[next++] = color;
    }
  }

  setUniforms(params: RenderParams, { gl, uniformLocations }: ProgramInfo<Uniform>): void {
    gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
    gl.uniform1f(uniformLocations.u_pixel, params.correctionRatio / params.sizeRatio);
    gl.uniform1f(uniformLocations.u_thicknessMin, params.minEdgeThickness * params.correctionRatio);
    gl.uniform1f(uniformLocations.u_feather, (params.antiAliasingFeather * params.correctionRatio * 2) / params.pixelRatio);
  }
}
