// Bundles the program into dist/, for bin/skbtrace.js to run: cli.js, with what V8 made of it (cli.cache), and parts that are loaded
// when they are needed. And index.js, the library.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const run = (script, ...args) => {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', script), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) process.exit(status ?? 1)
}

/** commander starts other programs only for verbs that are programs of their own: what it needs for that takes a while to load */
const withoutChildProcess = {
  name: 'without-child-process',
  setup(b) {
    b.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('commander') ? { path: 'child_process', namespace: 'absent' } : undefined,
    )
    b.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** ink talks to React's developer tools where they are: here they never are */
const withoutDevtools = {
  name: 'without-devtools',
  setup(b) {
    b.onResolve({ filter: /^react-devtools-core$/ }, ({ path }) => ({ path, namespace: 'absent' }))
    b.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'export default {}' }))
  },
}

/** ink draws nothing but its last frame where the environment has CI: whether there is a terminal is asked of the terminal itself */
const terminalInCi = {
  name: 'terminal-in-ci',
  setup(b) {
    b.onResolve({ filter: /^is-in-ci$/ }, ({ path }) => ({ path, namespace: 'never' }))
    b.onLoad({ filter: /.*/, namespace: 'never' }, () => ({ contents: 'export default false' }))
  },
}

/**
 * What is imported when it is needed becomes a file of its own. Each of these imports the program as well, so that all that the
 * program begins with is one file, whose functions call one another directly. And the facts of a kernel function are put where it
 * is declared, so that none have to be looked up.
 */
const oneProgram = {
  name: 'one-program',
  setup(b) {
    const later = new Set()
    for (const file of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue
      const path = join(root, 'src', file)
      for (const [, to] of readFileSync(path, 'utf8').matchAll(/\bimport\('(\.[^']+\.ts)'\)/g))
        later.add(resolve(dirname(path), to))
    }
    b.onLoad({ filter: /src[/\\].*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8').replace(/(?<=\bkfunc\(\s*)'([^']+)'/g, (_, name) =>
        JSON.stringify(rows.get(name) ?? name),
      )
      return {
        loader: 'ts',
        contents: later.has(path) ? `${text}\nimport ${JSON.stringify(join(root, 'src/cli/main.ts'))}\n` : text,
      }
    })
    b.onLoad({ filter: /facts\.json$/ }, () => ({ loader: 'json', contents: '""' }))
  },
}

const screen = './repl.mjs'
const common = {
  absWorkingDir: root,
  outdir: 'dist',
  write: false,
  bundle: true,
  platform: 'node',
  target: 'node20',
  legalComments: 'none',
  external: ['ink', 'react'],
  logLevel: 'warning',
}

run('facts.mjs')
const facts = JSON.parse(readFileSync(join(root, 'src/trace/generated/facts.json'), 'utf8'))
const rows = new Map(facts.split('\n').map((row) => [row.slice(0, row.indexOf('\t')), row]))
const { outputFiles, metafile } = await build({
  ...common,
  entryPoints: ['src/cli/main.ts'],
  metafile: true,
  splitting: true,
  minify: true,
  format: 'esm',
  external: [...common.external, screen],
  define: { SKBTRACE_SCREEN: JSON.stringify(screen) },
  plugins: [withoutChildProcess, oneProgram],
})
// main.js itself is nothing but the import of the one file that has the program
const [program, another] = metafile.outputs['dist/main.js'].imports.filter((i) => i.kind === 'import-statement' && !i.external)
if (program === undefined || another !== undefined) throw new Error('the program is not one file')
const first = basename(program.path)
// import() becomes a require, which bin/skbtrace.js provides
const supported = { 'dynamic-import': false }
/**
 * The program exports thousands of names, for the parts that are loaded later. As CommonJS they would be defined one by one at
 * every start; as getters of an object that is made when a part first asks, they cost nothing until then.
 */
function exportLater(text) {
  const at = text.lastIndexOf('export{')
  const end = text.indexOf('}', at)
  if (
    at < 0 ||
    text
      .slice(end + 1)
      .trim()
      .replace(';', '') !== ''
  )
    throw new Error('the program does not end with its exports')
  const getters = text
    .slice(at + 'export{'.length, end)
    .split(',')
    .map((item) => item.trim().split(' as '))
    .map(([from, to = from]) => `get ${to}(){return ${from}}`)
  return `${text.slice(0, at)};Object.defineProperty(module,'exports',{configurable:true,get(){const value={${getters}};Object.defineProperty(module,'exports',{value});return value}});`
}
const texts = new Map()
for (const file of outputFiles) {
  const name = basename(file.path)
  if (name === 'main.js') continue
  const source = name === first ? exportLater(file.text) : file.text
  const { code } = await transform(source, { format: 'cjs', platform: 'node', target: 'node20', minify: true, supported })
  // an expression that is a function: vm.Script can run it, and keep what it compiled
  const text = `(function(require,module,exports){${code.replaceAll(`./${first}`, './cli.js').trimEnd()}\n})`
  // the cache belongs to this text and no other: V8 itself compares nothing but the length
  texts.set(name === first ? 'cli.js' : name, `${text}//${createHash('sha256').update(text).digest('hex')}`)
}
// the screen of the REPL: ink and what it stands on are modules that cannot be required, so it is one as well
const repl = await build({
  ...common,
  entryPoints: { repl: 'src/repl/screen/main.tsx' },
  outExtension: { '.js': '.mjs' },
  external: [],
  plugins: [withoutDevtools, terminalInCi],
  format: 'esm',
  minify: true,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
})
const library = await build({
  ...common,
  entryPoints: ['src/index.ts'],
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
})
for (const file of [...repl.outputFiles, ...library.outputFiles]) texts.set(basename(file.path), file.text)
// what was there stays until all of it is made: a mistake in the source leaves a program that runs
rmSync(dist, { recursive: true, force: true })
mkdirSync(dist, { recursive: true })
for (const [name, text] of texts) writeFileSync(join(dist, name), text)
run('cache.cjs', join(root, 'bin/skbtrace.js'), join(dist, 'cli.cache'))
