// The peer of the benchmarks: onnxruntime (float32, one thread) under Node. For every line "N" on stdin
// it runs the model N times and prints the N times in milliseconds on one line.
//   node ort.mjs MODULES_DIR MODEL.onnx DIM,DIM,...[;NAME=DIM,DIM,...<N]...
// The first input is real numbers from -1 to 1.
// Further inputs are indices from 0 to N - 1.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, model, dims] = process.argv.slice(2);
const ort = createRequire(modules + '/')('onnxruntime-node');
let state = 1;
const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
const parse = (text) => text.split(',').map(Number);
const count = (shape) => shape.reduce((a, b) => a * b, 1);
const [first, ...rest] = dims.split(';');
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
});
const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', Float32Array.from({ length: count(parse(first)) }, () => 2 * random() - 1), parse(first)) };
for (const input of rest) {
  const [, key, shape, limit] = input.match(/^(.*)=(.*)<(.*)$/);
  const indices = BigInt64Array.from({ length: count(parse(shape)) }, () => BigInt(Math.floor(random() * limit)));
  feeds[key] = new ort.Tensor('int64', indices, parse(shape));
}
const start = Date.now();
for (let i = 0; i < 5 && (i < 2 || Date.now() - start < 2000); i++) await session.run(feeds);
console.log('ready ' + (ort.env?.versions?.common ?? ''));
for await (const line of createInterface({ input: process.stdin })) {
  const times = [];
  for (let i = 0; i < Number(line); i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  console.log(times.join(' '));
}
