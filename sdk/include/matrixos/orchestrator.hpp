/// matrixos/orchestrator.hpp: "matrixos.orchestrator/1" from both sides. Contract and payloads: abi/orchestrator.h.
#pragma once

#include <matrixos/abi/orchestrator.h>
#include <matrixos/call.hpp>
#include <matrixos/json_member.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Whose an instance token is (abi/orchestrator.h, token_owner).
struct TokenOwner {
  std::string id;                     ///< ULID of the instance
  std::string handle;                 ///< as the instance is called now
  bool bound = false;                 ///< requests with the token may come from `addresses` alone
  std::vector<std::string> addresses; ///< IP addresses; empty while the instance does not run

  std::string toJson() const {
    JsonArray list;
    for (const std::string &address : addresses)
      list.addText(address);
    JsonObject out;
    out.add("id", id).add("handle", handle).add("bound", bound).addRaw("addresses", std::move(list).str());
    return std::move(out).str();
  }
  /// Of what a provider answered; nothing in it is ever escaped. What is missing binds: nobody gets in by an answer
  /// that is not understood.
  static TokenOwner parse(std::string_view json) {
    TokenOwner owner;
    owner.id = memberText(json, "id");
    owner.handle = memberText(json, "handle");
    owner.bound = findMember(json, "bound").value_or("") != "false";
    detail::JsonWalker list(findMember(json, "addresses").value_or(""));
    if (!list.take('[')) return owner;
    do {
      if (const std::string_view address = plainText(list.value()); !address.empty())
        owner.addresses.emplace_back(address);
    } while (list.take(','));
    return owner;
  }
};

namespace detail {

inline Error noSuchThing(const std::string &what) {
  return Error(Status::Unimplemented, "this orchestrator has no " + what, "UNIMPLEMENTED");
}

} // namespace detail

/// What the provider implements. Commands must not block: they move `done` away (or answer it), or throw to refuse.
/// Look-ups throw matrixos::Error.
class Orchestrator {
public:
  Orchestrator() noexcept { fill(); }
  Orchestrator(const Orchestrator &) = delete;
  Orchestrator &operator=(const Orchestrator &) = delete;
  virtual ~Orchestrator() = default;

  /// The table to hand to Services::provide(); lives as long as the object.
  const mos_orchestrator_v1 *table() const noexcept { return &table_; }

  virtual void provision(const Call &call, std::string_view handle, std::string_view clerkUserId, Completion &done) = 0;
  virtual void start(const Call &call, std::string_view handle, Completion &done) = 0;
  virtual void stop(const Call &call, std::string_view handle, std::uint64_t ifActivitySeq, std::string_view reason,
                    Completion &done) = 0;
  virtual void destroy(const Call &call, std::string_view handle, Completion &done) = 0;
  virtual std::string get(std::string_view handle) = 0;
  virtual void list(std::string_view status, const std::function<bool(std::string_view)> &item) = 0;
  virtual std::uint64_t watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher) = 0;
  virtual void unwatch(std::uint64_t watch) = 0;
  virtual void recordActivity(const mos_activity *items, std::uint32_t count) = 0;
  /// Nothing when it is nobody's. Any thread; must not block.
  virtual std::optional<TokenOwner> tokenOwner(std::string_view) { throw detail::noSuchThing("instance tokens"); }
  /// May block, unlike all others.
  virtual std::string runtimeCapabilities(const Call &) { throw detail::noSuchThing("runtime to tell of"); }

private:
  static Orchestrator &of(void *self) noexcept { return *static_cast<Orchestrator *>(self); }

  void fill() noexcept {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_ORCHESTRATOR_1_MINOR;
    table_.self = this;
    table_.provision = [](void *self, const mos_call *call, mos_str handle, mos_str user, mos_completion done,
                          mos_error *e) {
      return Completion::command(
          done, e, [&](Completion &c) { of(self).provision(Call(call), fromAbi(handle), fromAbi(user), c); });
    };
    table_.start = [](void *self, const mos_call *call, mos_str handle, mos_completion done, mos_error *e) {
      return Completion::command(done, e, [&](Completion &c) { of(self).start(Call(call), fromAbi(handle), c); });
    };
    table_.stop = [](void *self, const mos_call *call, mos_str handle, std::uint64_t seq, mos_str reason,
                     mos_completion done, mos_error *e) {
      return Completion::command(
          done, e, [&](Completion &c) { of(self).stop(Call(call), fromAbi(handle), seq, fromAbi(reason), c); });
    };
    table_.destroy = [](void *self, const mos_call *call, mos_str handle, mos_completion done, mos_error *e) {
      return Completion::command(done, e, [&](Completion &c) { of(self).destroy(Call(call), fromAbi(handle), c); });
    };
    table_.get = [](void *self, mos_str handle, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).get(fromAbi(handle))); });
    };
    table_.list = [](void *self, mos_str status, mos_sink items, mos_error *e) {
      return guarded(e, [&] {
        of(self).list(fromAbi(status), [items](std::string_view item) {
          return items.item(items.ctx, toAbi(item)) == MOS_SINK_CONTINUE;
        });
      });
    };
    table_.watch = [](void *self, std::uint64_t since, mos_instance_watcher watcher, std::uint64_t *out, mos_error *e) {
      return guarded(e, [&] { *out = of(self).watch(since, watcher); });
    };
    table_.unwatch = [](void *self, std::uint64_t watch, mos_error *e) {
      return guarded(e, [&] { of(self).unwatch(watch); });
    };
    table_.record_activity = [](void *self, const mos_activity *items, std::uint32_t count, mos_error *e) {
      return guarded(e, [&] { of(self).recordActivity(items, count); });
    };
    table_.token_owner = [](void *self, mos_str token, mos_buf *out, mos_error *e) {
      return guarded(e, [&] {
        const auto owner = of(self).tokenOwner(fromAbi(token));
        if (!owner) throw Error(Status::NotFound, "the token is no instance's", "NO_INSTANCE");
        giveBuffer(out, owner->toJson());
      });
    };
    table_.runtime_capabilities = [](void *self, const mos_call *call, mos_buf *out, mos_error *e) {
      return guarded(e, [&] { giveBuffer(out, of(self).runtimeCapabilities(Call(call))); });
    };
  }

  mos_orchestrator_v1 table_{};
};

/// The orchestrator as its users see it. Copyable view. Commands report through `then`, exactly once, on any thread.
class OrchestratorClient {
public:
  using Then = std::function<void(const Outcome &)>;

  explicit OrchestratorClient(const mos_orchestrator_v1 *table) noexcept : t_(table) {}

  void provision(const mos_call *call, std::string_view handle, std::string_view clerkUserId, Then then) const {
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->provision(t_->self, call, toAbi(handle), toAbi(clerkUserId), done, e);
    });
  }
  void start(const mos_call *call, std::string_view handle, Then then) const {
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->start(t_->self, call, toAbi(handle), done, e);
    });
  }
  void stop(const mos_call *call, std::string_view handle, std::uint64_t ifActivitySeq, std::string_view reason,
            Then then) const {
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->stop(t_->self, call, toAbi(handle), ifActivitySeq, toAbi(reason), done, e);
    });
  }
  void destroy(const mos_call *call, std::string_view handle, Then then) const {
    withCompletion(std::move(then), [&](mos_completion done, mos_error *e) {
      return t_->destroy(t_->self, call, toAbi(handle), done, e);
    });
  }
  std::string get(std::string_view handle) const {
    Buffer out;
    check([&](mos_error *e) { return t_->get(t_->self, toAbi(handle), out.out(), e); });
    return out.str();
  }
  void list(std::string_view status, const std::function<bool(std::string_view)> &item) const {
    SinkOf sink(item);
    check([&](mos_error *e) { return t_->list(t_->self, toAbi(status), sink.abi(), e); });
    sink.rethrow();
  }
  std::uint64_t watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher) const {
    std::uint64_t out = 0;
    check([&](mos_error *e) { return t_->watch(t_->self, sinceRev, watcher, &out, e); });
    return out;
  }
  void unwatch(std::uint64_t watch) const noexcept { t_->unwatch(t_->self, watch, nullptr); }
  void recordActivity(const mos_activity *items, std::uint32_t count) const {
    check([&](mos_error *e) { return t_->record_activity(t_->self, items, count, e); });
  }
  /// Nothing when the token is nobody's. Throws Error(Unimplemented) where there are no tokens yet: host or provider of
  /// minor 0.
  std::optional<TokenOwner> tokenOwner(std::string_view token) const {
    if (!MOS_HAS(t_, mos_orchestrator_v1, token_owner)) throw detail::noSuchThing("instance tokens");
    Buffer out;
    try {
      check([&](mos_error *e) { return t_->token_owner(t_->self, toAbi(token), out.out(), e); });
    } catch (const Error &e) {
      if (e.status() == Status::NotFound) return std::nullopt;
      throw;
    }
    return TokenOwner::parse(out.str());
  }
  /// JSON (abi/runtime.h, capabilities). Blocks.
  std::string runtimeCapabilities(const Call &call) const {
    if (!MOS_HAS(t_, mos_orchestrator_v1, runtime_capabilities)) throw detail::noSuchThing("runtime to tell of");
    Buffer out;
    check([&](mos_error *e) { return t_->runtime_capabilities(t_->self, call.abi(), out.out(), e); });
    return out.str();
  }

private:
  const mos_orchestrator_v1 *t_;
};

} // namespace v1
} // namespace matrixos
