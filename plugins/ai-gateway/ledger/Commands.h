/// The commands of matrixosctl that go with the plugin's routes.
#pragma once

#include <matrixos/command.hpp>

namespace matrixos::gateway {

inline constexpr mos_command_option kUsageOptions[] = {
    {"handle", "HANDLE", "of this user alone", MOS_OPTION_QUERY, 0},
    {"since", "TIME", "2026-11-23T15:04:05Z, 2026-11-23, or 24h, 7d; this month if not said", MOS_OPTION_QUERY, 0},
    {"by", "WHAT", "user, model, session or day", MOS_OPTION_QUERY, 0}};
inline constexpr mos_command_option kLimitOptions[] = {
    {"daily", "USD", "at most so much a day (UTC); none: as configured", 0, 0},
    {"monthly", "USD", "at most so much a month (UTC); none: as configured", 0, 0}};
inline constexpr mos_command_option kCsvOptions[] = {
    {"since", "TIME", "2026-11-23T15:04:05Z, 2026-11-23, or 24h, 7d; this month if not said", MOS_OPTION_QUERY, 0}};

inline constexpr mos_command kUsageCommands[] = {
    Command("usage show", "What calls cost, of everybody or of one user", "GET", "/ai/usage")
        .columns("rows[] NAME=name CALLS=requests PARTIAL=partial INPUT=inputTokens OUTPUT=outputTokens "
                 "READ=cacheReadTokens WRITE_5M=cacheWrite5mTokens WRITE_1H=cacheWrite1hTokens USD=costUsd SHARE=bar")
        .options(kUsageOptions),
    Command("usage limits", "One user's totals and limits", "GET", "/ai/usage/{HANDLE}").arguments("HANDLE"),
    Command("usage limit", "Sets what one user may spend", "POST", "/ai/quotas/{HANDLE}")
        .arguments("HANDLE")
        .body(R"({"dailyLimitUsd": "{--daily}", "monthlyLimitUsd": "{--monthly}"})")
        .options(kLimitOptions),
    Command("usage export", "All calls as CSV, one a line", "GET", "/ai/usage/summary?format=csv")
        .options(kCsvOptions)
        .streams()};

} // namespace matrixos::gateway
