// Bundles the program into dist/: one file that `bin` starts, and chunks that only some commands load.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const facts = spawnSync(process.execPath, [join(root, 'scripts/facts.mjs')], { stdio: 'inherit' })
if (facts.status !== 0) process.exit(facts.status ?? 1)
rmSync(join(root, 'dist'), { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli/main.ts', index: 'src/index.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: ['ink', 'react'],
  logLevel: 'warning',
  // commander is CommonJS: it needs a require that an ES module does not have
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
})
