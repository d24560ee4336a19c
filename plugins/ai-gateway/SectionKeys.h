/// The keys of the plugin's section.
#pragma once

#include <matrixos/abi/plugin.h>

namespace matrixos::gateway {

inline constexpr mos_config_key kSectionKeys[] = {
    {"listen", "list", "127.0.0.1:8080, host-gateway:8080", nullptr,
     "Addresses that instances call: address:port, or host-gateway:port, the address of this machine that "
     "the runtime's containers see.",
     MOS_KEY_LIVE, 0},
    {"loops", "int", "0", "0..64", "Event loops, one thread each; 0 means one per core.", 0, 0},
    {"upstream", "urls", "https://api.anthropic.com", "https|http",
     "Where calls go; when one server fails, the next is tried.", MOS_KEY_LIVE, 0},
    {"upstream_ca_file", "path", "", nullptr, "PEM certificates that are believed beside the system's.", MOS_KEY_LIVE,
     0},
    {"api_key", "string", "", nullptr, "The key for upstreams, which instances never see.",
     MOS_KEY_LIVE | MOS_KEY_SECRET, 0},
    {"api_keys", "string", "", nullptr, "Several keys, one a line, used in turn.", MOS_KEY_LIVE | MOS_KEY_SECRET, 0},
    {"prices", "path", "", nullptr,
     "JSON file of prices; empty: /etc/matrixos/prices.json, and without that file those that came with the plugin.",
     MOS_KEY_LIVE, 0},
    {"daily_limit_usd", "string", "", nullptr,
     "What one user may spend on a day of UTC, in dollars; empty: any amount.", MOS_KEY_LIVE, 0},
    {"monthly_limit_usd", "string", "", nullptr, "The same for a month.", MOS_KEY_LIVE, 0},
    {"global_daily_limit_usd", "string", "", nullptr,
     "What all users together may spend on a day of UTC, in dollars; empty: any amount.", MOS_KEY_LIVE, 0},
    {"global_monthly_limit_usd", "string", "", nullptr, "The same for a month.", MOS_KEY_LIVE, 0},
    {"hold", "enum", "worst-case", "worst-case|estimate",
     "What is set aside while a call is under way: the most that it can cost, or what it probably costs; "
     "with estimate a limit can be passed a little.",
     MOS_KEY_LIVE, 0},
    {"own_keys", "bool", "true", nullptr,
     "Callers may bring a key of their own for Anthropic (sk-ant-…): no limit of money, nothing held.", MOS_KEY_LIVE,
     0},
    {"unknown_model", "enum", "worst-case", "worst-case|refuse",
     "A model that the prices do not know costs the dearest price, or is refused.", MOS_KEY_LIVE, 0},
    {"server_tools", "list", "", nullptr,
     "Types of tools that may run at the upstream, such as web_search; *: all. Empty: those whose cost has a bound; "
     "with "
     "hold=estimate the others, too.",
     MOS_KEY_LIVE, 0},
    {"betas", "list", "", nullptr,
     "Values of anthropic-beta that may be used, such as context-1m-2025-08-07; *: all. Empty: those that cost no more "
     "than a bound; with hold=estimate the others, too.",
     MOS_KEY_LIVE, 0},
    {"routes", "list", "", nullptr,
     "Further paths below /v1/ that are passed on, with what is below them; what they cost is not counted.",
     MOS_KEY_LIVE, 0},
    {"max_body", "size", "32MB", "1KB..256MB", "Largest request body: 413.", MOS_KEY_LIVE, 0},
    {"requests_per_minute", "int", "0", "0..1000000", "Requests of one user; 0: any number.", MOS_KEY_LIVE, 0},
    {"tokens_per_minute", "int", "0", "0..1000000000", "Tokens of one user; 0: any number.", MOS_KEY_LIVE, 0},
    {"concurrent_requests", "int", "64", "0..100000", "Requests of one user at a time; 0: any number.", MOS_KEY_LIVE,
     0},
    {"usage_retention", "duration", "400d", "31d..3650d", "How long the row of a call is kept.", MOS_KEY_LIVE, 0},
    {"drain", "duration", "10s", "0ms..10m",
     "How long the rest of an answer is read to know its cost, after its client has left.", MOS_KEY_LIVE, 0},
    {"drain_bytes", "size", "1MB", "0..1GB", "How much of it.", MOS_KEY_LIVE, 0},
    {"connect_timeout", "duration", "5s", "50ms..1m", "To connect to one address of an upstream.", MOS_KEY_LIVE, 0},
    {"first_byte_timeout", "duration", "10m", "1s..1h", "From the whole request to the answer's header: 504.",
     MOS_KEY_LIVE, 0},
    {"response_timeout", "duration", "5m", "1s..1h", "Longest pause in an answer.", MOS_KEY_LIVE, 0},
    {"drain_timeout", "duration", "5s", "0ms..1m", "How long open calls may go on when the plugin stops.", MOS_KEY_LIVE,
     0},
    {"access_log", "bool", "true", nullptr, "Write one log line per request.", MOS_KEY_LIVE, 0},
};

} // namespace matrixos::gateway
