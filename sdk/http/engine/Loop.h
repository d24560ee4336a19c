/// http/engine/Loop.h: one event loop with all that its connections share.
#pragma once

#include "Buffer.h"
#include "IdleList.h"
#include "Options.h"
#include "PeerShares.h"
#include "Reactor.h"
#include "RestReader.h"
#include "Timers.h"
#include "UpstreamPool.h"

#include <http/codec/Head.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace matrixos::http {

class ClientConnection;
class ClientExchange;

/// A thread that runs events. Everything but post(), resume(), connections() and stop() belongs to that thread.
class Loop : public std::enable_shared_from_this<Loop> {
public:
  Loop(unsigned index, std::shared_ptr<const ServerOptions> options,
       std::shared_ptr<PeerShares> shares = std::make_shared<PeerShares>());
  ~Loop();

  void start();
  /// Ends the thread and waits for it. Connections are closed first. Any thread but the loop's own.
  void stop();

  unsigned index() const noexcept { return index_; }
  /// Valid until the stack has unwound: from one event to the next it may be replaced.
  const ServerOptions &options() const noexcept { return *options_; }
  /// From now on these count, also for the deadlines of open connections.
  void use(std::shared_ptr<const ServerOptions> options);

  /// [any-thread] Runs `task` on the loop; after stop() it is destroyed unrun.
  void post(std::function<void()> task);
  /// [any-thread] Runs `then` with the held exchange on the loop, or not at all when that has ended.
  void resume(std::uint64_t ticket, std::function<void(ClientExchange &)> then);

  /// CLOCK_MONOTONIC as of the present round of events, and coarse.
  std::int64_t nowMs() const noexcept { return nowMs_; }

  TimerWheel &timers() noexcept { return timers_; }
  BlockPool &blocks() noexcept { return blocks_; }
  UpstreamPool &upstreams() noexcept { return upstreams_; }
  ResponseHead &responseHead() noexcept { return responseHead_; }
  RequestHead &emptyHead() noexcept { return emptyHead_; }
  std::unique_ptr<RequestHead> takeRequestHead();
  void giveRequestHead(std::unique_ptr<RequestHead> head);

  /// full: it is turned away, unless another connection makes room.
  void adopt(std::unique_ptr<ClientConnection> connection, bool full = false);
  /// It had a place, and is turned away after all. `reason`: static text.
  void turnAway(ClientConnection &connection, const char *reason);
  /// Closes the connection that makes room, see ServerOptions::shedIdle. False: none can.
  bool shed();
  /// The same among those of one client.
  bool shedOf(const Address &peer);
  /// [any-thread] Connections that could make room.
  std::size_t sheddable() const noexcept { return idle_.size() + halfHeads_.size(); }
  /// Destroys the connection once the stack has unwound.
  void retire(ClientConnection &connection);
  /// Has the observer shown the rest of an answer, see BodyObserver::onClientGone(). Throws when memory runs out, and
  /// has taken nothing then.
  void readRest(RestReader::Answer &&answer, BodyObserver::Rest &&rest);
  /// Destroys the reader once the stack has unwound.
  void retire(RestReader::Place reader) noexcept { endedRests_.splice(endedRests_.end(), rests_, reader); }
  IdleList &idle() noexcept { return idle_; }
  /// Those that have sent a part of their first header.
  IdleList &halfHeads() noexcept { return halfHeads_; }
  /// Those without a place that have not said what they want.
  IdleList &turnedAwayList() noexcept { return away_; }
  PeerShares &shares() noexcept { return *shares_; }
  std::uint64_t hold(ClientConnection &connection);
  void unhold(std::uint64_t ticket) noexcept { held_.erase(ticket); }

  /// [any-thread] Connections of this loop, those on their way to it included.
  std::atomic<std::size_t> &connections() noexcept { return connections_; }
  /// [any-thread] Those that are turned away; not among connections().
  std::atomic<std::size_t> &turnedAway() noexcept { return turnedAway_; }
  /// See Server::drain().
  void drain();
  bool draining() const noexcept { return draining_; }
  void closeAll();

  Reactor &reactor() noexcept { return reactor_; }
  /// Passes on what the reactor's wait() brought, at that time, and then the deadlines that have passed. The thread
  /// does nothing else; who never calls start() may do it in its place, with a clock of its own.
  void turn(std::int64_t nowMs);

private:
  bool closeOlder(ClientConnection *idle, ClientConnection *half);
  void endRests() noexcept;
  void letIn(ClientConnection &connection, const char *reason);
  void run();
  int patience() const noexcept;

  unsigned index_;
  std::shared_ptr<const ServerOptions> options_;
  Reactor reactor_;
  std::thread thread_;
  TimerWheel timers_;
  BlockPool blocks_;
  UpstreamPool upstreams_;
  ResponseHead responseHead_;
  RequestHead emptyHead_;
  std::vector<std::unique_ptr<RequestHead>> heads_;
  const std::shared_ptr<PeerShares> shares_; // of all loops; as the lists, it outlives the connections
  IdleList idle_;
  IdleList halfHeads_;
  IdleList away_;
  std::unordered_map<ClientConnection *, std::unique_ptr<ClientConnection>> live_;
  std::vector<std::unique_ptr<ClientConnection>> retired_;
  std::unordered_map<std::uint64_t, ClientConnection *> held_;
  std::list<RestReader> rests_; // the oldest first
  std::list<RestReader> endedRests_;
  std::uint64_t lastTicket_ = 0;
  std::int64_t nowMs_ = 0;
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> turnedAway_{0};
  bool running_ = true;
  bool draining_ = false;
};

} // namespace matrixos::http
