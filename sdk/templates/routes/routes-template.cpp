// routes-template: keeps entries, which the API and matrixosctl add, list and remove. Replace them by what you keep.
#include <matrixos/command.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/plugin.hpp>
#include <matrixos/text/time.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace {

using matrixos::Error;
using matrixos::Exchange;
using matrixos::Status;

/// The member `text` of a body. Bodies come from strangers: each step may fail.
std::string textOf(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto text = json.is_object() ? json.find("text") : json.end();
  if (!json.is_object() || text == json.end() || !text->is_string() || text->get_ref<const std::string &>().empty())
    throw Error(Status::InvalidArgument, "the body has to be {\"text\": …}", "NO_TEXT");
  return *text;
}

class TemplatePlugin final : public matrixos::Plugin {
public:
  // Cheap: without I/O, since --check and others may create a plugin that never starts.
  explicit TemplatePlugin(const mos_host_v1 *host)
      : config_(host), sql_(host), events_(host), timers_(host), routes_(host) {}

  void start() override {
    // Steps are numbered from 1. One that was released is never edited: a change is a new step.
    sql_.migrate(
        {{1, "entries",
          "CREATE TABLE routes_template (id INTEGER PRIMARY KEY, text TEXT NOT NULL, created_at INTEGER NOT NULL)"}});
    most_ = config_.getInt("most_entries");
    routes_.add("GET", "/routes-template", MOS_PERMISSION_ADMIN, "Lists the entries", [this](Exchange &e) { list(e); });
    routes_.add("POST", "/routes-template", MOS_PERMISSION_ADMIN, "Adds an entry", [this](Exchange &e) { add(e); });
    routes_.add("DELETE", "/routes-template/:id", MOS_PERMISSION_ADMIN, "Removes an entry",
                [this](Exchange &e) { remove(e); });
    routes_.publish();
    timers_.every(config_.getDuration("report_every"), [this] { report(); });
  }
  void stop() override { timers_.cancelAll(); }

private:
  void list(Exchange &exchange) {
    const std::int64_t limit = exchange.queryNumber("limit", 1'000'000, most_);
    matrixos::JsonArray entries;
    sql_.query("SELECT id, text, created_at FROM routes_template ORDER BY id LIMIT ?", {limit},
               [&](const matrixos::SqlRow &row) {
                 matrixos::JsonObject entry;
                 entry.add("id", row.integer(0)).add("text", row.text(1));
                 entry.add("createdAt", matrixos::formatTime(row.integer(2)));
                 entries.add(std::move(entry).str());
               });
    matrixos::JsonObject answer;
    answer.addRaw("entries", std::move(entries).str());
    exchange.json(200, std::move(answer).str());
  }

  void add(Exchange &exchange) {
    const std::string text = textOf(exchange.body());
    // One statement: two who add at the same time cannot both take the last place.
    const auto changed = sql_.execBatch({{"INSERT INTO routes_template (text, created_at) SELECT ?, ? WHERE (SELECT "
                                          "count(*) FROM routes_template) < ?",
                                          {text, matrixos::wallClockMs(), most_}}});
    if (changed[0] == 0) throw Error(Status::ResourceExhausted, "there are as many entries as there may be", "FULL");
    exchange.json(201, "{}");
  }

  void remove(Exchange &exchange) {
    const auto changed = sql_.execBatch(
        {{"DELETE FROM routes_template WHERE id = ?",
          {matrixos::parameterNumber("id", exchange.param("id"), std::numeric_limits<std::int64_t>::max())}}});
    if (changed[0] == 0) throw Error(Status::NotFound, "there is no such entry", "NO_ENTRY");
    exchange.respond(204, "", "");
  }

  /// Told to other plugins. What it throws is logged.
  void report() {
    std::int64_t count = 0;
    sql_.query("SELECT count(*) FROM routes_template", {},
               [&](const matrixos::SqlRow &row) { count = row.integer(0); });
    events_.publish("routes-template.report", "{\"entries\":" + std::to_string(count) + "}");
  }

  matrixos::Config config_;
  matrixos::Sql sql_;
  matrixos::Events events_;
  matrixos::Timers timers_;
  matrixos::Routes routes_;
  std::int64_t most_ = 0;
};

constexpr mos_config_key kKeys[] = {
    {"most_entries", "int", "1000", "1..1000000", "Entries at most.", 0, 0},
    {"report_every", "duration", "1h", "1s..", "How often the number of entries is published.", 0, 0}};

// Commands of matrixosctl. They are data: help, completion and exit codes are made of them, also without a daemon.
constexpr mos_command_option kListOptions[] = {
    {"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
constexpr mos_command kCommands[] = {
    matrixos::Command("routes-template list", "All entries", "GET", "/routes-template")
        .columns("entries[] ID=id TEXT=text AGE=createdAt:ago")
        .options(kListOptions),
    matrixos::Command("routes-template add", "Adds an entry", "POST", "/routes-template")
        .arguments("TEXT")
        .body(R"({"text": "{TEXT}"})")
        .done("added"),
    matrixos::Command("routes-template remove", "Removes an entry", "DELETE", "/routes-template/{ID}")
        .arguments("ID")
        .confirm("This removes the entry {ID} for good.")
        .done("{ID} is gone")};

} // namespace

MATRIXOS_PLUGIN(TemplatePlugin, matrixos::Descriptor("routes-template", "Template", "1.0.0")
                                    .vendor("Example")
                                    .license("MIT")
                                    .description("Keeps entries.")
                                    .configKeys(kKeys)
                                    .commands(kCommands))
