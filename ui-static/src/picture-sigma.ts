// A Sigma that stays smooth where drawing a frame takes long: software in place of a graphics processor, or a graph
// too large for the one there is. Moving about then moves a picture of the graph, as maps do, which costs the same for
// one node and for thousands. The graph itself is drawn anew once it is still, or once the picture lacks too much of
// what should be seen. Who draws fast enough has the graph itself moved and never gets to see a picture.
import type Graph from 'graphology';
import Sigma from 'sigma';
import type { Settings } from 'sigma/settings';
import type { CameraState } from 'sigma/types';

// More than the pause between two turns of a wheel: less, and each of them would have the graph drawn.
const STILL_MS = 160;

// Twenty frames per second look smooth. So many slower ones in a row, and a picture looks better.
const SLOW_FRAME_MS = 50;
const SLOW_FRAMES = 4;

// Blown up further a picture is a blur; less of what should be seen is not a picture of it.
const SCALE_MAX = 3;
const COVERED_MIN = 0.5;

// While it moves the graph is not drawn more often: each time costs the frame that the picture saves.
const REDRAWN_MS = 600;

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

// The layers of which the picture consists, lowest first. Sigma's others show what is under the pointer.
const LAYERS = ['edges', 'edgeLabels', 'nodes', 'labels'];

function drawsInSoftware(gl: WebGLRenderingContext | null | undefined): boolean {
  const names = gl?.getExtension('WEBGL_debug_renderer_info');
  return Boolean(gl && names && SOFTWARE.test(String(gl.getParameter(names.UNMASKED_RENDERER_WEBGL))));
}

const same = (a: CameraState, b: CameraState): boolean =>
  a.x === b.x && a.y === b.y && a.ratio === b.ratio && a.angle === b.angle;

export class PictureSigma extends Sigma {
  private picture: CanvasRenderingContext2D | null = null;
  private drawn: CameraState | null = null; // What the camera saw when the graph was drawn last.
  private drawnAt = 0;
  private slow = 0;
  private frame = 0;
  private timer = 0;

  constructor(graph: Graph, container: HTMLElement, settings: Partial<Settings>) {
    super(graph, container, settings);
    this.on('afterRender', () => this.onDrawn());
    // A click means what is seen under the pointer, and Sigma asks what it drew there.
    this.getMouseCaptor().prependListener('click', () => this.settle());
    this.getMouseCaptor().prependListener('doubleClick', () => this.settle());
    this.getTouchCaptor().prependListener('tap', () => this.settle());
    this.askLessOften();
    this.forgetGone();
    const canvas = this.getCanvases()['nodes'];
    if (drawsInSoftware(canvas?.getContext('webgl2') ?? canvas?.getContext('webgl'))) this.takePictures();
  }

  override kill(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.picture?.canvas.remove();
    this.picture = null;
    super.kill();
  }

  /** Draws when the next frame is due; while a picture is moved, what has changed is drawn once it is still. */
  override scheduleRender(): this {
    if (!this.picture || !this.drawn || same(this.getCamera().getState(), this.drawn)) return super.scheduleRender();
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.settle(), STILL_MS);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.move());
    return this;
  }

  /** Of a large graph only the nodes are drawn while it moves, if it is the graph that moves. */
  adapt(large: boolean, fine: boolean): void {
    const hide = large && !this.picture;
    const settings = { hideEdgesOnMove: hide, hideLabelsOnMove: hide, minEdgeThickness: fine ? 0.6 : 1.7 };
    const unchanged = Object.entries(settings).every(([key, value]) => this.getSetting(key as keyof Settings) === value);
    if (!unchanged) this.setSettings(settings);
  }

  // Sigma answers with what it drew last, and a node of that may be gone.
  private forgetGone(): void {
    const asked = this as unknown as { getNodeAtPosition(position: unknown): string | null };
    const ask = asked.getNodeAtPosition.bind(this);
    asked.getNodeAtPosition = (position) => {
      const found = ask(position);
      return found !== null && this.getGraph().hasNode(found) ? found : null;
    };
  }

  private settle(): void {
    clearTimeout(this.timer);
    if (this.drawn && !same(this.getCamera().getState(), this.drawn)) this.draw();
  }

  // What is drawn is as Sigma knows it: nothing is read from the graph once more.
  private draw(): void {
    this.refresh({ partialGraph: { nodes: [], edges: [] }, skipIndexation: true, schedule: false });
  }

  private move(): void {
    this.frame = 0;
    if (!this.picture || !this.drawn) return;
    const { width, height } = this.getDimensions();
    const now = this.getCamera().getState();
    const before = this.framedGraphToViewport({ x: 0, y: 0 }, { cameraState: this.drawn });
    const after = this.framedGraphToViewport({ x: 0, y: 0 }, { cameraState: now });
    const scale = this.drawn.ratio / now.ratio;
    const left = after.x - before.x * scale;
    const top = after.y - before.y * scale;
    const overlap = (from: number, size: number): number =>
      Math.max(0, Math.min(size, from + size * scale) - Math.max(0, from)) / size;
    const covered = overlap(left, width) * overlap(top, height);
    if ((covered < COVERED_MIN || scale > SCALE_MAX) && performance.now() - this.drawnAt > REDRAWN_MS) {
      this.draw();
      return;
    }
    this.getContainer().classList.add('moving');
    this.picture.canvas.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
  }

  private onDrawn(): void {
    const now = performance.now();
    const camera = this.getCamera().getState();
    if (this.picture) {
      this.paint(this.picture);
    } else if (this.drawn && !same(camera, this.drawn)) {
      // A pause between two moves is no slow frame.
      const took = now - this.drawnAt;
      if (took < STILL_MS * 4) this.slow = took > SLOW_FRAME_MS ? this.slow + 1 : 0;
      if (this.slow >= SLOW_FRAMES) this.takePictures();
    }
    this.drawn = camera;
    this.drawnAt = now;
  }

  private takePictures(): void {
    const canvas = document.createElement('canvas');
    canvas.className = 'picture';
    this.picture = canvas.getContext('2d');
    if (!this.picture) return;
    const container = this.getContainer();
    container.prepend(canvas);
    container.classList.add('pictured');
    this.setSettings({ hideEdgesOnMove: false, hideLabelsOnMove: false });
  }

  // In the task that drew the layers: the browser empties a WebGL canvas after it.
  private paint(picture: CanvasRenderingContext2D): void {
    const { canvas } = picture;
    const { width, height } = this.getDimensions();
    const layers = LAYERS.map((name) => this.getCanvases()[name]).filter((layer) => layer !== undefined);
    const [first] = layers;
    if (!first || first.width === 0 || first.height === 0) return;
    if (canvas.width !== first.width || canvas.height !== first.height) {
      canvas.width = first.width;
      canvas.height = first.height;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    picture.clearRect(0, 0, canvas.width, canvas.height);
    for (const layer of layers) picture.drawImage(layer, 0, 0);
    canvas.style.transform = '';
    this.getContainer().classList.remove('moving');
  }

  // Sigma reads from the graphics processor what is under the pointer, and waits for all that it has to draw, at each
  // movement of the mouse: also of one that drags, and for nodes that a wheel is turned on, which nobody listens to.
  private askLessOften(): void {
    const mouse = this.getMouseCaptor();
    const ask = mouse.listeners('mousemove');
    mouse.removeAllListeners('mousemove');
    let latest: unknown;
    let due = 0;
    mouse.on('mousemove', (event) => {
      if (mouse.isMouseDown) return;
      latest = event;
      if (due) return;
      due = requestAnimationFrame(() => {
        due = 0;
        if (this.drawn && !same(this.getCamera().getState(), this.drawn)) return;
        for (const listener of ask) (listener as (event: unknown) => void)(latest);
      });
    });
    mouse.removeAllListeners('wheel');
  }
}
