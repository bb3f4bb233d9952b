// Answers one JSON line an account: {"now", "eMode", "reserves": [...]} with figures as decimal
// strings becomes the library's raw summary of that account, figures as decimal strings.
const { createInterface } = require("node:readline");
const math = require("@aave/math-utils");
const { generateRawUserSummary } = require("@aave/math-utils/dist/cjs/formatters/user/generate-raw-user-summary");
const { generateUserReserveSummary } = require("@aave/math-utils/dist/cjs/formatters/user/generate-user-reserve-summary");

const text = (value) => value.toFixed();

function summary({ now, eMode, reserves }) {
  const userReserves = reserves.map((userReserve) =>
    generateUserReserveSummary({
      userReserve,
      marketReferencePriceInUsdNormalized: "1",
      marketReferenceCurrencyDecimals: 8,
      currentTimestamp: now,
    }),
  );
  const raw = generateRawUserSummary({
    userReserves,
    marketReferencePriceInUsd: "1",
    marketReferenceCurrencyDecimals: 8,
    userEmodeCategoryId: eMode,
  });
  return {
    supplied: userReserves.map((reserve) => text(reserve.underlyingBalance)),
    debts: userReserves.map((reserve) => text(reserve.variableBorrows)),
    collateral: text(raw.totalCollateralMarketReferenceCurrency),
    debt: text(raw.totalBorrowsMarketReferenceCurrency),
    available: text(raw.availableBorrowsMarketReferenceCurrency),
    ltv: text(raw.currentLoanToValue),
    threshold: text(raw.currentLiquidationThreshold),
    healthFactor: text(raw.healthFactor),
  };
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { ray, ...account } = JSON.parse(line);
  const answer = ray ? { ray: text(math[ray[0]](ray[1], ray[2])) } : summary(account);
  process.stdout.write(JSON.stringify(answer) + "\n");
});
