/// The commands of matrixosctl that go with the plugin's routes.
#pragma once

#include <matrixos/command.hpp>

namespace matrixos::gateway {

inline constexpr mos_command_option kUsageOptions[] = {
    {"since", "TIME", "7d, 24h, 2026-11-23 or 2026-11-23T15:04:05Z; since this month (UTC) began if not said",
     MOS_OPTION_QUERY, 0},
    {"by", "WHAT", "model, session, day or user; user of everybody, model of one if not said", MOS_OPTION_QUERY, 0}};
inline constexpr mos_command_option kLimitOptions[] = {
    {"daily", "USD", "at most so much on a day (UTC); none: as configured", 0, 0},
    {"monthly", "USD", "at most so much in a month (UTC); none: as configured", 0, 0}};

inline constexpr mos_command kUsageCommands[] = {
    Command("usage", "What calls of models cost, of everybody or of one instance", "GET",
            "/ai/usage[/{HANDLE}]?table=true")
        .arguments("[HANDLE]")
        .columns("rows[] NAME=name CALLS=requests:count PROMPT=promptTokens:count CACHED=cacheReadTokens:count "
                 "OUTPUT=outputTokens:count USD=costUsd:usd SHARE=costUsd:bar")
        .options(kUsageOptions)
        .hasCsv(),
    Command("usage limits", "What everybody has spent and may spend, in USD", "GET", "/ai/usage/summary")
        .columns("users[] HANDLE=userId TODAY=dailyUsd:usd DAILY_LIMIT=limits.dailyLimitUsd:usd "
                 "MONTH=monthlyUsd:usd MONTHLY_LIMIT=limits.monthlyLimitUsd:usd HELD=heldUsd:usd"),
    Command("usage limit", "Sets what one instance may spend", "POST", "/ai/quotas/{HANDLE}")
        .arguments("HANDLE")
        .body(R"({"dailyLimitUsd": "{--daily}", "monthlyLimitUsd": "{--monthly}"})")
        .done("limits of {HANDLE} in USD: {dailyLimitUsd} a day, {monthlyLimitUsd} a month")
        .options(kLimitOptions)};

} // namespace matrixos::gateway
