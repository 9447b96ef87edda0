// Draws a node: its shape as a signed distance field (Quilez, "2D distance functions"), a ring in the
// colour of its rank, and the chosen metric as a level inside. No instances, as in edge-program.ts.
import { NodeProgram, type ProgramInfo } from 'sigma/rendering';
import type { NodeDisplayData, RenderParams } from 'sigma/types';
import { floatColor } from 'sigma/utils';

export interface Drawn extends NodeDisplayData {
  ring: string;
  shapeIndex: number;
  level: number; // 0 … 1; below 0 draws none.
  fade: number; // 1 is as it is, less is paler.
}

export const SHAPES = ['circle', 'square', 'hexagon', 'cloud'];

const VERTEX = /* glsl */ `
attribute vec4 a_id;
attribute vec4 a_color;
attribute vec4 a_ring;
attribute vec2 a_position;
attribute float a_size;
attribute float a_angle;
attribute float a_shape;
attribute float a_level;
attribute float a_fade;
uniform mat3 u_matrix;
uniform float u_sizeRatio;
uniform float u_correctionRatio;
varying vec4 v_id;
varying vec4 v_color;
varying vec4 v_ring;
varying vec2 v_at;
varying float v_pixel;
varying float v_shape;
varying float v_level;
varying float v_fade;
const float bias = 255.0 / 254.0;
void main() {
  float size = a_size * u_correctionRatio / u_sizeRatio * 4.0;
  vec2 corner = size * vec2(cos(a_angle), sin(a_angle));
  gl_Position = vec4((u_matrix * vec3(a_position + corner, 1.0)).xy, 0.0, 1.0);
  v_at = corner / (size / 2.0);
  v_pixel = u_correctionRatio / (size / 2.0);
  v_id = a_id;
  v_id.a *= bias;
  v_color = a_color;
  v_ring = a_ring;
  v_shape = a_shape;
  v_level = a_level;
  v_fade = a_fade;
}`;

const FRAGMENT = /* glsl */ `
precision highp float;
varying vec4 v_id;
varying vec4 v_color;
varying vec4 v_ring;
varying vec2 v_at;
varying float v_pixel;
varying float v_shape;
varying float v_level;
varying float v_fade;

float circle(vec2 p, float r) { return length(p) - r; }
float box(vec2 p, float b, float r) {
  vec2 d = abs(p) - b + r;
  return length(max(d, 0.0)) + min(max(d.x, d.y), 0.0) - r;
}
float hexagon(vec2 p, float r) {
  const vec3 k = vec3(-0.866025404, 0.5, 0.577350269);
  p = abs(p.yx);
  p -= 2.0 * min(dot(k.xy, p), 0.0) * k.xy;
  p -= vec2(clamp(p.x, -k.z * r, k.z * r), r);
  return length(p) * sign(p.y);
}
float cloud(vec2 p) {
  float d = circle(p - vec2(-0.45, -0.12), 0.42);
  d = min(d, circle(p - vec2(0.48, -0.14), 0.40));
  d = min(d, circle(p - vec2(0.02, 0.18), 0.55));
  return min(d, box(p - vec2(0.0, -0.34), 0.21, 0.2) - 0.0);
}

void main(void) {
  float d;
  if (v_shape < 0.5) d = circle(v_at, 0.9);
  else if (v_shape < 1.5) d = box(v_at, 0.78, 0.18);
  else if (v_shape < 2.5) d = hexagon(v_at, 0.76) - 0.1;
  else d = cloud(v_at);
#ifdef PICKING_MODE
  gl_FragColor = d > v_pixel ? vec4(0.0) : v_id;
#else
  float edge = v_pixel * 1.2;
  float inside = 1.0 - smoothstep(-edge, edge, d);
  float width = max(0.11, v_pixel * 2.0);
  float ring = smoothstep(-width - edge, -width + edge, d);
  vec3 body = v_color.rgb;
  if (v_level >= 0.0) {
    float top = mix(-0.85, 0.85, v_level);
    body = mix(body, v_ring.rgb, 0.72 * (1.0 - smoothstep(-edge, edge, v_at.y - top)));
  }
  vec3 color = mix(body, v_ring.rgb, ring);
  float alpha = inside * v_fade;
  gl_FragColor = vec4(color * alpha, alpha);
#endif
}`;

// The corners of a triangle around the node.
const ANGLES = [0, (2 * Math.PI) / 3, (4 * Math.PI) / 3];

const UNIFORMS = ['u_sizeRatio', 'u_correctionRatio', 'u_matrix'] as const;
type Uniform = (typeof UNIFORMS)[number];

export class ShapeProgram extends NodeProgram<Uniform> {
  getDefinition() {
    const { FLOAT, UNSIGNED_BYTE, TRIANGLES } = WebGLRenderingContext;
    return {
      VERTICES: ANGLES.length,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: TRIANGLES as number,
      UNIFORMS,
      ATTRIBUTES: [
        { name: 'a_position', size: 2, type: FLOAT as number },
        { name: 'a_size', size: 1, type: FLOAT as number },
        { name: 'a_color', size: 4, type: UNSIGNED_BYTE as number, normalized: true },
        { name: 'a_ring', size: 4, type: UNSIGNED_BYTE as number, normalized: true },
        { name: 'a_shape', size: 1, type: FLOAT as number },
        { name: 'a_level', size: 1, type: FLOAT as number },
        { name: 'a_fade', size: 1, type: FLOAT as number },
        { name: 'a_angle', size: 1, type: FLOAT as number },
        { name: 'a_id', size: 4, type: UNSIGNED_BYTE as number, normalized: true },
      ],
    };
  }

  processVisibleItem(nodeIndex: number, startIndex: number, data: NodeDisplayData): void {
    const drawn = data as Drawn;
    const { array } = this;
    const body = floatColor(data.color);
    const ring = floatColor(drawn.ring);
    let next = startIndex;
    for (const angle of ANGLES) {
      array[next++] = data.x;
      array[next++] = data.y;
      array[next++] = data.size;
      array[next++] = body;
      array[next++] = ring;
      array[next++] = drawn.shapeIndex;
      array[next++] = drawn.level;
      array[next++] = drawn.fade;
      array[next++] = angle;
      array[next++] = nodeIndex;
    }
  }

  setUniforms(params: RenderParams, { gl, uniformLocations }: ProgramInfo<Uniform>): void {
    gl.uniform1f(uniformLocations.u_correctionRatio, params.correctionRatio);
    gl.uniform1f(uniformLocations.u_sizeRatio, params.sizeRatio);
    gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
  }
}
