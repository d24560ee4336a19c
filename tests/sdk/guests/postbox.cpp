// Keeps what it has to: letters in a table and on their way in the outbox, their count by key; shows them by a command
// and on pages of its own.
#include <matrixos/command.hpp>
#include <matrixos/plugin.hpp>

#include <string>

namespace {

class Postbox : public matrixos::Plugin {
public:
  explicit Postbox(const mos_host_v1 *host) : sql_(host), kv_(host), outbox_(host), routes_(host) {}

  void start() override {
    sql_.migrate(
        {{1, "letters", "CREATE TABLE postbox_letters (id TEXT PRIMARY KEY, sent INTEGER NOT NULL DEFAULT 0) STRICT"}});
    outbox_.begin([this](const mos_call *, const matrixos::OutboxDelivery &delivery) { return deliver(delivery); });
    routes_.add("POST", "/postbox/:id", MOS_PERMISSION_ADMIN, "Posts a letter", [this](matrixos::Exchange &exchange) {
      const std::string id(exchange.param("id"));
      // Behind one that cannot be delivered its target has to wait, and nobody else.
      outbox_.put({{id == "heavy" ? "nobody" : "everybody", id, id}},
                  {{"INSERT INTO postbox_letters (id) VALUES (?)", {id}}});
      count();
      exchange.json(201, R"({"id":")" + id + "\"}");
    });
    routes_.add("GET", "/postbox", MOS_PERMISSION_ADMIN, "All letters",
                [this](matrixos::Exchange &exchange) { exchange.json(200, letters()); });
    routes_.add(
        "GET", "//postbox/count", MOS_PERMISSION_PUBLIC, "How many there are", [this](matrixos::Exchange &exchange) {
          exchange.respond(200, "text/plain", kv_.get("count").value_or(matrixos::KeyValueStore::Value{}).bytes);
        });
    routes_.publish();
    routes_.publishFiles({{"//postbox/", "text/html; charset=utf-8", "<!doctype html><title>Postbox</title>"}});
  }
  void stop() override { outbox_.end(); }

private:
  matrixos::OutboxVerdict deliver(const matrixos::OutboxDelivery &delivery) {
    if (delivery.id == "heavy") return matrixos::OutboxVerdict::retry("nobody can carry it");
    sql_.execBatch({{"UPDATE postbox_letters SET sent = sent + 1 WHERE id = ?", {delivery.id}}});
    return matrixos::OutboxVerdict::done();
  }
  /// Several may post at once: who was faster has changed the version.
  void count() {
    for (;;) {
      const auto before = kv_.get("count");
      const int next = before ? std::stoi(before->bytes) + 1 : 1;
      try {
        kv_.put("count", std::to_string(next), before ? before->version : MOS_KV_ABSENT);
        return;
      } catch (const matrixos::Error &e) {
        if (e.status() != matrixos::Status::Aborted) throw;
      }
    }
  }
  std::string letters() const {
    std::string all;
    sql_.query("SELECT id, sent FROM postbox_letters ORDER BY id", {}, [&](const matrixos::SqlRow &row) {
      all += (all.empty() ? R"({"id":")" : R"(,{"id":")") + std::string(row.text(0)) + R"(","sent":)" +
             std::to_string(row.integer(1)) + "}";
    });
    return R"({"letters":[)" + all + "]}";
  }

  matrixos::Sql sql_;
  matrixos::KeyValueStore kv_;
  matrixos::Outbox outbox_;
  matrixos::Routes routes_;
};

constexpr mos_claim kClaims[] = {{MOS_CLAIM_TABLE, "postbox_*", nullptr, "Letters."},
                                 {MOS_CLAIM_PATH, "/postbox", nullptr, "The API."},
                                 {MOS_CLAIM_PATH, "//postbox", nullptr, "The pages."}};
constexpr mos_command kCommands[] = {
    matrixos::Command("postbox list", "All letters", "GET", "/postbox").columns("letters[] LETTER=id SENT=sent"),
    matrixos::Command("postbox post", "Posts a letter", "POST", "/postbox/{ID}")
        .arguments("ID")
        .done("{id} is posted")};

} // namespace

MATRIXOS_PLUGIN(Postbox, matrixos::Descriptor("postbox", "Postbox", "1.0.0")
                             .vendor("Example")
                             .license("MIT")
                             .claims(kClaims)
                             .commands(kCommands))
