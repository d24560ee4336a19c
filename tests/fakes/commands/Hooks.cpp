/// A third party's plugin with a command of every kind.
#include <matrixos/plugin.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace {

using matrixos::Command;

constexpr const char *kHooks = R"({"items": [
  {"id": "h1", "target": {"url": "http://one.example/"}, "createdAt": "2020-01-01T00:00:00Z", "tries": 2},
  {"id": "h2\u001b[2J", "target": {"url": "http://two.example/"}, "createdAt": "never", "tries": null}]})";

constexpr const char *kHits = R"({"rows": [
  {"day": "2026-11-28", "hits": 1234567, "usd": 12.34567, "most": null},
  {"day": "2026-11-29", "hits": 0, "usd": 0}, {"day": "2026-11-30", "hits": 999.96, "usd": 0.00001, "most": 0.5}]})";

class Hooks : public matrixos::Plugin {
public:
  explicit Hooks(const mos_host_v1 *host) : routes_(host) {}

  void start() override {
    const auto add = [this](const char *method, const char *path, auto handler) {
      routes_.add(method, path, MOS_PERMISSION_ADMIN, "for its commands", handler);
    };
    add("GET", "/hooks", [](matrixos::Exchange &exchange) {
      const auto limit = exchange.queryParam("limit");
      exchange.json(200, limit == "0" ? R"({"items": []})" : kHooks);
    });
    // Says what it was sent.
    add("POST", "/hooks", [](matrixos::Exchange &exchange) { exchange.json(201, exchange.body()); });
    add("DELETE", "/hooks/:id", [](matrixos::Exchange &exchange) { exchange.respond(204, "", ""); });
    add("POST", "/hooks/:id/send", [](matrixos::Exchange &exchange) {
      exchange.fail(matrixos::Error(matrixos::Status::FailedPrecondition, "nobody listens there", "NOBODY"));
    });
    add("GET", "/hooks/:id/log", [](matrixos::Exchange &exchange) {
      exchange.begin(200, "text/plain");
      exchange.write("one\n");
      exchange.write("two \x1b[2J\n{\"three\": 3}\n");
      exchange.end();
    });
    add("GET", "/hooks/hits", [](matrixos::Exchange &exchange) {
      if (exchange.queryParam("format") != "csv") return exchange.json(200, kHits);
      exchange.begin(200, "text/csv");
      exchange.write("day,hits\r\n2026-11-29,1\r\n");
      exchange.end();
    });
    add("GET", "/hooks/hits/:id", [](matrixos::Exchange &exchange) {
      exchange.json(200, R"({"rows": [{"day": ")" + std::string(exchange.param("id")) + R"("}]})");
    });
    add("POST", "/hooks/hits/:id",
        [](matrixos::Exchange &exchange) { exchange.json(200, R"({"least": 1, "most": null})"); });
    add("GET", "/hooks/:id", [](matrixos::Exchange &exchange) {
      const std::string_view id = exchange.param("id");
      exchange.respond(200, "text/plain",
                       id == "odd"      ? R"([1, {"a": 2}])"
                       : id == "word"   ? "true"
                       : id == "text"   ? "a, \x1b\nb\n"
                       : id == "broken" ? "{"
                                        : R"({"id": "h1", "deep": {"er": [1]}})");
    });
    add("GET", "/hooks/:id/progress", [this](matrixos::Exchange &exchange) {
      ++asked_;
      exchange.json(200, R"({"progress": {"phase": "delivering", "current": 1, "total": 4}})");
    });
    // Ends once somebody has seen how far it is.
    add("POST", "/hooks/:id/deliver", [this](matrixos::Exchange &exchange) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
      while (asked_ < 2 && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      exchange.json(200, R"({"attempts": 3})");
    });
    routes_.publish();
  }
  void stop() override {}

private:
  matrixos::Routes routes_;
  std::atomic<int> asked_{0};
};

constexpr mos_command_option kListOptions[] = {
    {"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
constexpr mos_command_option kAddOptions[] = {{"weight", "N", "its weight", MOS_OPTION_BODY | MOS_OPTION_NUMBER, 0},
                                              {"older-than", "TIME", "only for these", MOS_OPTION_BODY, 0},
                                              {"secret", "TEXT", "what signs it", MOS_OPTION_REQUIRED, 0},
                                              {"dry", "", "change nothing", MOS_OPTION_BODY, 0}};
constexpr mos_command kCommands[] = {
    Command("hooks list", "What is to be sent, it's \\all", "GET", "/hooks")
        .columns("items[] ID=id TARGET=target.url SINCE_WHEN=createdAt:ago TRIES=tries")
        .options(kListOptions),
    Command("hooks show", "One of them", "GET", "/hooks/{ID}").arguments("ID"),
    Command("hooks add", "Adds one", "POST", "/hooks")
        .arguments("TARGET [NOTE]")
        .options(kAddOptions)
        .body(
            R"({"target": "{TARGET}", "note": "{NOTE}", "tags": ["to {TARGET}", "{--weight}"], "key": "{--secret}"})"),
    Command("hooks drop", "Forgets one", "DELETE", "/hooks/{ID}")
        .arguments("ID")
        .confirm("This forgets {ID} for good.")
        .done("{ID} is forgotten"),
    Command("hooks send", "Sends one now", "POST", "/hooks/{ID}/send").arguments("ID").done("{ID} is sent"),
    Command("hooks log", "What happened to one", "GET", "/hooks/{ID}/log").arguments("ID").streams(),
    Command("hits", "How often hooks were sent, or one of them", "GET", "/hooks/hits[/{ID}]")
        .arguments("[ID]")
        .columns("rows[] DAY=day HITS=hits:count USD=usd:usd MOST=most:usd SHARE=usd:bar")
        .hasCsv(),
    Command("hits limit", "Sets how often", "POST", "/hooks/hits/{ID}").arguments("ID").done("{ID}: {least} to {most}"),
    Command("hooks deliver", "Sends one and waits", "POST", "/hooks/{ID}/deliver")
        .arguments("ID")
        .progress("/hooks/{ID}/progress")
        .takesLong()
        .done("{ID} is delivered after {attempts} attempts{nothing}")};

} // namespace

MATRIXOS_PLUGIN(Hooks, matrixos::Descriptor("hooks", "Hooks", "1.0.0")
                           .vendor("Example")
                           .license("MIT")
                           .description("Sends hooks.")
                           .commands(kCommands))
