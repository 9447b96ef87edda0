import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // Works below any path of a reverse proxy.
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  worker: { format: 'es' },
  build: {
    target: 'es2021',
    assetsInlineLimit: 0, // The content-security policy allows no data: scripts, fonts or workers.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
  },
});
