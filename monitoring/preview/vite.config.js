import { defineConfig } from 'vite';

export default defineConfig({
  // Works under any path, and from any server of static files.
  base: './',
  // Warnings are about packages.
  logLevel: 'error',
  // pushring.json.
  publicDir: '../grafana',
  // A library for Node.js that Perses uses.
  define: { global: 'globalThis' },
  build: {
    outDir: 'dist',
    target: 'es2022',
    // One page with all of Perses: nothing to load later.
    chunkSizeWarningLimit: 10000,
  },
});
