import react from '@vitejs/plugin-react';
import { readdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const server = 'http://127.0.0.1:8081';

// Empties the output directory as emptyOutDir does, but for the .gitkeep that lets the Go
// build go without a bundle.
function emptyDist(): Plugin {
  let dist: string;
  return {
    name: 'empty-dist',
    apply: 'build',
    configResolved({ build }) {
      dist = build.outDir;
    },
    async buildStart() {
      const entries = await readdir(dist).catch(() => []);
      const old = entries.filter((name) => name !== '.gitkeep');
      await Promise.all(old.map((name) => rm(`${dist}/${name}`, { recursive: true })));
    },
  };
}

export default defineConfig({
  base: '/console/',
  plugins: [react(), emptyDist()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: fileURLToPath(new URL('../internal/console/dist', import.meta.url)),
    emptyOutDir: false,
    manifest: true,
    target: 'es2022',
    // Nothing may be inlined: the content security policy allows files of this server only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: Object.fromEntries(['/v1', '/healthz', '/simulator', '/console/oidc'].map((path) => [path, server])),
  },
});
