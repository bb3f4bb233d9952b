// Reference figures of Uniswap's own SDKs (MIT), for tests/protocols/test_uniswap_sdk.py.
// npm install --ignore-scripts @uniswap/v3-sdk@3.31.5 @uniswap/v4-sdk@2.4.0 @uniswap/sdk-core
// node make_vectors.mjs > vectors.json
// The SDKs bring ethers and 180 packages along, so CI compares with these figures instead.
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { Token, CurrencyAmount } = require("@uniswap/sdk-core");
const v3 = require("@uniswap/v3-sdk");
const v4 = require("@uniswap/v4-sdk");
const { TickMath, SwapMath, SqrtPriceMath, nearestUsableTick, maxLiquidityForAmounts } = v3;
const JSBI = TickMath.MIN_SQRT_RATIO.constructor;
const big = (n) => JSBI.BigInt(n.toString());

let state = 20261121n; // a small generator of its own, the same everywhere
const next = () => (state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n));
const below = (n) => (next() >> 11n) % BigInt(n);
const between = (low, high) => BigInt(low) + below(BigInt(high) - BigInt(low) + 1n);
const spread = (low, high) => between(1n << between(low, high), 1n << BigInt(high));

const out = { ticks: [], steps: [], usable: [], liquidity: [], amounts: [], quotes: [], ids: [] };
for (const tick of [-887272, 887272, 0, -1, 1]) out.ticks.push([tick, TickMath.getSqrtRatioAtTick(tick).toString()]);
for (let n = 0; n < 200; n++) {
  const tick = Number(between(-887272, 887271));
  const ratio = BigInt(TickMath.getSqrtRatioAtTick(tick).toString()) + below(1n << 60n) % (BigInt(TickMath.getSqrtRatioAtTick(tick + 1).toString()) - BigInt(TickMath.getSqrtRatioAtTick(tick).toString()));
  out.ticks.push([tick, TickMath.getSqrtRatioAtTick(tick).toString(), ratio.toString(), TickMath.getTickAtSqrtRatio(big(ratio))]);
}
for (let n = 0; n < 300; n++) {
  const at = Number(between(-300000, 300000));
  const to = at + Number(between(-4000, 4000));
  const a = [TickMath.getSqrtRatioAtTick(at), TickMath.getSqrtRatioAtTick(to), big(spread(40, 110)), big((n % 2 ? 1n : -1n) * spread(10, 100)), big([100, 500, 3000, 10000][n % 4])];
  let r = null;
  try { r = SwapMath.computeSwapStep(...a).map(String); } catch { r = null; }
  out.steps.push([a.map(String), r]);
}
for (let n = 0; n < 200; n++) {
  const spacing = [1, 10, 60, 200][n % 4];
  const tick = Number(between(-887272, 887272));
  out.usable.push([tick, spacing, nearestUsableTick(tick, spacing)]);
}
for (let n = 0; n < 200; n++) {
  const ticks = [0, 1, 2].map(() => Number(between(-200000, 200000))).sort((x, y) => x - y);
  if (ticks[0] === ticks[2]) continue;
  const [low, high] = [ticks[0], ticks[2]].map((t) => TickMath.getSqrtRatioAtTick(t));
  const now = TickMath.getSqrtRatioAtTick(n % 3 ? ticks[1] : n % 2 ? ticks[0] - 50 : ticks[2] + 50);
  const [x, y] = [spread(20, 90), spread(20, 90)];
  out.liquidity.push([[now, low, high].map(String), x.toString(), y.toString(), maxLiquidityForAmounts(now, low, high, x.toString(), y.toString(), true).toString()]);
  const l = big(spread(20, 100));
  out.amounts.push([[low, high].map(String), l.toString(), ...[true, false].flatMap((up) => [SqrtPriceMath.getAmount0Delta(low, high, l, up).toString(), SqrtPriceMath.getAmount1Delta(low, high, l, up).toString()])]);
}
const [A, B] = [new Token(1, "0x" + "11".repeat(20), 18, "A"), new Token(1, "0x" + "22".repeat(20), 6, "B")];
for (let n = 0; n < 40; n++) {
  const [fee, spacing] = [[500, 10], [3000, 60]][n % 2];
  const centre = Number(between(-1500, 1500)) * spacing;
  const ranges = [];
  const net = new Map(), gross = new Map();
  let active = 0n;
  for (let k = 0; k < 4; k++) {
    const [lower, upper] = k ? [centre - Number(between(1, 300)) * spacing, centre + Number(between(1, 300)) * spacing] : [centre - 2000 * spacing, centre + 2000 * spacing];
    const size = spread(60, 70);
    ranges.push([lower, upper, size.toString()]);
    for (const [t, d] of [[lower, size], [upper, -size]]) { net.set(t, (net.get(t) ?? 0n) + d); gross.set(t, (gross.get(t) ?? 0n) + size); }
    active += size;
  }
  const start = TickMath.getSqrtRatioAtTick(centre + 3);
  const ticks = [...net.keys()].sort((x, y) => x - y).map((t) => ({ index: t, liquidityNet: net.get(t).toString(), liquidityGross: gross.get(t).toString() }));
  const provider = () => new v3.TickListDataProvider(ticks, spacing);
  const pool3 = new v3.Pool(A, B, fee, start.toString(), active.toString(), centre + 3, provider());
  const pool4 = new v4.Pool(A, B, fee, spacing, "0x" + "00".repeat(20), start.toString(), active.toString(), centre + 3, provider());
  out.ids.push([A.address, B.address, fee, spacing, pool4.poolId]);
  for (const zero of [true, false]) {
    const amount = spread(56, 71);
    const row = [fee, spacing, start.toString(), ranges, zero, amount.toString()];
    for (const pool of [pool3, pool4]) {
      const [bought, after] = await pool.getOutputAmount(CurrencyAmount.fromRawAmount(zero ? A : B, amount.toString()));
      row.push([bought.quotient.toString(), after.sqrtRatioX96.toString(), after.tickCurrent, after.liquidity.toString()]);
      let paid = null;
      try { paid = (await pool.getInputAmount(CurrencyAmount.fromRawAmount(zero ? B : A, (amount / 8n).toString())))[0].quotient.toString(); } catch { paid = null; }
      row.push(paid);
    }
    out.quotes.push(row);
  }
}
process.stdout.write(JSON.stringify(out) + "\n");
