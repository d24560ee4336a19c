/// A whole engine between clients and upstreams that say what the input tells them to.
#include "Checks.h"
#include "Reference.h"

#include <http/engine/ClientConnection.h>
#include <http/engine/Loop.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace matrixos::http::fuzz {

namespace {

constexpr std::size_t kMostClients = 4;
constexpr std::size_t kMostByteByByte = 200;
constexpr int kMostTurns = 4000;
constexpr std::string_view kSeq = "x-seq"; // names a request
constexpr char kMark = '\xff';             // between two steps of the input

void require(bool holds, const std::string &what) {
  if (!holds) throw std::logic_error(what);
}

/// Reads what there is. False once the other side has closed.
bool drain(int fd, std::string &into) {
  std::array<char, 4096> block; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  for (;;) {
    const ssize_t got = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT);
    if (got > 0)
      into.append(block.data(), static_cast<std::size_t>(got));
    else
      return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
}

void send(int fd, std::string_view data) {
  if (fd >= 0) [[maybe_unused]]
    const auto sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void closeFd(int &fd) {
  if (fd >= 0) ::close(std::exchange(fd, -1));
}

/// What the observer of a request was shown.
struct Observed {
  std::string request;
  std::string response;
  std::string written; // of an answer in pieces
  int ends = 0;
  bool complete = false;
};

struct Client {
  int fd = -1;
  std::string sent;
  std::string received;
  bool ended = false;               // by the engine
  std::vector<std::string> methods; // of its requests, as the engine saw them
  std::vector<std::string> targets;
  std::vector<Observed> observed; // of each request
  std::size_t refused = 0;
  std::uint64_t held = 0;
};

/// Knows an address only when the script says so.
class Names final : public Resolver {
public:
  void resolve(const std::string &, Done done) override { open_.push_back(std::move(done)); }
  void answer(const Resolution &resolution) {
    for (const Done &done : std::exchange(open_, {}))
      done(resolution);
  }

private:
  std::vector<Done> open_;
};

/// One end of a connection that the engine opened.
struct Peer {
  int fd = -1;
  bool second = false; // which of the two upstreams it belongs to
  std::string received;
};

/// Listens on a UNIX socket; nobody waits here.
class Listener {
public:
  explicit Listener(const std::string &path)
      : address_(Address::parse("unix:" + path)),
        fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    ::unlink(path.c_str());
    if (::bind(fd_, address_.data(), address_.size()) != 0 || ::listen(fd_, 64) != 0) std::abort();
  }
  const Address &address() const { return address_; }
  int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

private:
  Address address_;
  int fd_;
};

class World;

/// /local is answered here, /held waits, /echo takes the body and gives it back in pieces, /slow takes it with pauses,
/// what begins with /2 goes to the second upstream, the rest to the first. Each request that is sent on bears a name of
/// its own.
class Guide final : public Session, private BodyObserver {
public:
  Guide(World &world, std::size_t client) : world_(world), client_(client) {}

  void onRequest(ClientExchange &exchange) override;
  void writeRequest(ClientExchange &exchange, HeadWriter &writer) override {
    Session::writeRequest(exchange, writer);
    writer.field("X-Seq", name_);
  }
  void onRefused(int, const char *) override;
  void onBody(ClientExchange &exchange, std::string_view piece, bool last) override;
  void forward(ClientExchange &exchange, const std::shared_ptr<const Upstream> &upstream) {
    exchange.forward(upstream, UINT64_MAX, this);
  }

private:
  void onRequestPayload(std::string_view bytes) override;
  void onResponsePayload(std::string_view bytes) override;
  void onResponseEnd(bool complete) noexcept override;

  World &world_;
  std::size_t client_;
  std::string name_;
};

/// Lives as long as the process; each input finds it empty and has to leave it so.
class World final : public SessionFactory {
public:
  World() : folder_(makeFolder()), first_(folder_ + "/1"), second_(folder_ + "/2") {
    for (unsigned i = 0; i < variants_.size(); ++i)
      variants_[i] = makeOptions(i);
    loop_ = std::make_shared<Loop>(0, variants_[0]);
    now_ = loop_->nowMs();
  }

  ~World() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  World(const World &) = delete;
  World &operator=(const World &) = delete;

  void play(std::string_view input);

  std::unique_ptr<Session> makeSession(Loop &, const Address &) override {
    // A connection makes its session at once, or when its preface is complete: `adopting_` is right in the first case.
    return std::make_unique<Guide>(*this, adopting_);
  }
  Client &client(std::size_t index) { return clients_[index]; }
  std::shared_ptr<const Upstream> upstream(bool second) const { return second ? toSecond_ : toFirst_; }

private:
  static std::string makeFolder() {
    char text[] = "/tmp/fuzz-edge-XXXXXX";
    if (::mkdtemp(text) == nullptr) std::abort();
    return text;
  }
  static std::shared_ptr<const ServerOptions> makeOptions(unsigned variant);
  void begin(unsigned variant);
  void step(char op, std::string_view data);
  void addClient();
  void answer();
  void turn(int times);
  void look();
  void pass(std::int64_t ms);
  void bytewise(int fd, std::string_view data, std::string *sent);
  Peer *peer() { return peers_.empty() ? nullptr : &peers_[std::min(peer_, peers_.size() - 1)]; }
  void end();
  static std::vector<Message> checkRequests(const Client &client);
  static void checkUpstreams(const std::vector<Peer> &peers, const std::vector<Client> &clients,
                             const std::vector<std::vector<Message>> &said);
  static void checkObserved(const Observed &observed, const Message &answer);
  static void checkOwn(const Client &client, std::size_t which, const Message &answer);
  void checkClient(std::size_t index, const Client &client) const;

  std::string folder_;
  Listener first_;
  Listener second_;
  std::array<std::shared_ptr<const ServerOptions>, 8> variants_;
  std::shared_ptr<Loop> loop_;
  std::int64_t now_ = 0;
  std::uint64_t lastKey_ = 0;
  std::shared_ptr<Names> names_ = std::make_shared<Names>();
  std::shared_ptr<const Upstream> toFirst_;
  std::shared_ptr<const Upstream> toSecond_;
  std::vector<Client> clients_;
  std::vector<Peer> peers_;
  std::size_t adopting_ = 0;
  std::size_t current_ = 0;
  std::size_t peer_ = 0;
  std::string nonce_;
  bool reading_ = true;
};

void Guide::onRequest(ClientExchange &exchange) {
  Client &client = world_.client(client_);
  const RequestHead &head = exchange.request();
  name_ = std::to_string(client_) + "." + std::to_string(client.methods.size());
  client.methods.emplace_back(head.method);
  client.targets.emplace_back(head.target);
  client.observed.emplace_back();
  if (head.target == "/local") return exchange.respond({200, "text/plain", "here", {}});
  if (head.target == "/held") {
    client.held = exchange.hold(std::chrono::milliseconds(1500));
    return;
  }
  if (head.target == "/echo" || head.target == "/slow") return exchange.readBody(512);
  forward(exchange, world_.upstream(head.target.substr(0, 2) == "/2"));
}

void Guide::onBody(ClientExchange &exchange, std::string_view piece, bool last) {
  Client &client = world_.client(client_);
  Observed &observed = client.observed.back();
  observed.request += piece;
  const bool slow = exchange.request().target == "/slow";
  if (!last) {
    if (slow) client.held = exchange.hold(std::chrono::milliseconds(1500));
    return;
  }
  if (slow) return exchange.respond({200, "text/plain", "taken", {}});
  constexpr std::size_t kPiece = 7;
  std::optional<std::uint64_t> length;
  if (observed.request.size() % 2 == 0) length = observed.request.size();
  const std::string body = observed.request;
  exchange.begin({200, "text/plain", {}, length});
  for (std::size_t at = 0; at < body.size(); at += kPiece)
    exchange.write(std::string_view(body).substr(at, kPiece));
  exchange.end();
}

void Guide::onRequestPayload(std::string_view bytes) {
  world_.client(client_).observed.back().request += bytes;
}

void Guide::onResponsePayload(std::string_view bytes) {
  world_.client(client_).observed.back().response += bytes;
}

void Guide::onResponseEnd(bool complete) noexcept {
  Observed &observed = world_.client(client_).observed.back();
  ++observed.ends;
  observed.complete = complete;
}

void Guide::onRefused(int, const char *) {
  ++world_.client(client_).refused;
}

std::shared_ptr<const ServerOptions> World::makeOptions(unsigned variant) {
  auto options = std::make_shared<ServerOptions>();
  options->request = options->response = {1024, 20, 256};
  options->bufferSize = 2048;
  options->maxBody = (variant & 1U) != 0 ? 8 : 1U << 20U;
  options->minBodyRate = (variant & 2U) != 0 ? 10 : 0;
  options->proxyProtocol = (variant & 4U) != 0;
  using Ms = Timeouts::Ms;
  options->timeouts = {Ms(1000), Ms(2000), Ms(1500), Ms(1500), Ms(500),
                       Ms(2500), Ms(3000), Ms(4000), Ms(1000), Ms((variant & 1U) * 600),
                       Ms(1000), Ms(700),  Ms(1200)};
  return options;
}

/// The first byte chooses the options, and how the upstreams are reached.
void World::begin(unsigned variant) {
  loop_->use(variants_[variant & 7U]);
  const bool reuse = (variant & 8U) == 0;
  const auto to = [&](const Address &address) {
    Upstream out{{{address, ++lastKey_}}, reuse};
    // One that cannot be reached comes first.
    if ((variant & 32U) != 0)
      out.candidates[0].host = HostName::parse("up.example:80", names_, [this] { return now_; });
    if ((variant & 16U) != 0) out.candidates.insert(out.candidates.begin(), {Address::parse("unix:/none"), ++lastKey_});
    return std::make_shared<Upstream>(std::move(out));
  };
  toFirst_ = to(first_.address());
  toSecond_ = to(second_.address());
  current_ = peer_ = 0;
  reading_ = true;
  clients_.reserve(kMostClients); // sessions keep no pointer, but growing would move what they note
  addClient();
}

void World::addClient() {
  if (clients_.size() == kMostClients) return;
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) std::abort();
  const int small = 1; // the kernel makes of it the least it can: writes to a client that does not read soon block
  ::setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  current_ = adopting_ = clients_.size();
  clients_.emplace_back();
  clients_.back().fd = pair[0];
  loop_->connections().fetch_add(1);
  auto socket = Socket::adopt(*loop_, pair[1]);
  loop_->adopt(std::make_unique<ClientConnection>(*loop_, std::move(socket), Address(), 0, *this));
  turn(2);
}

void World::turn(int times) {
  for (int i = 0; i < times; ++i) {
    loop_->reactor().wait(0);
    loop_->turn(now_);
  }
  look();
}

/// Takes what has come, on both sides.
void World::look() {
  for (const bool second : {false, true}) {
    for (int fd = (second ? second_ : first_).accept(); fd >= 0; fd = (second ? second_ : first_).accept()) {
      peers_.push_back({fd, second, {}});
      peer_ = peers_.size() - 1;
    }
  }
  for (Peer &peer : peers_) {
    if (peer.fd >= 0) drain(peer.fd, peer.received);
  }
  if (!reading_) return;
  for (Client &client : clients_) {
    if (client.fd >= 0 && !client.ended) client.ended = !drain(client.fd, client.received);
  }
}

void World::pass(std::int64_t ms) {
  for (; ms > 0; ms -= 250) {
    now_ += 250;
    turn(1);
  }
}

void World::bytewise(int fd, std::string_view data, std::string *sent) {
  const std::size_t single = std::min(data.size(), kMostByteByByte);
  for (std::size_t i = 0; i < single; ++i) {
    send(fd, data.substr(i, 1));
    turn(1);
  }
  send(fd, data.substr(single));
  if (sent != nullptr) sent->append(data);
  turn(2);
}

/// A good answer to the last request on the present connection, whether it is still waited for or not. It says
/// whose it is, with a word that no input can know.
void World::answer() {
  const Peer *to = peer();
  if (to == nullptr || to->fd < 0) return;
  const auto requests = readRequests(to->received, kSeq);
  if (requests.empty() || requests.back().count(kSeq) == 0) return;
  const Message &last = requests.back();
  const std::string text = nonce_ + last.field(kSeq) + ";";
  send(to->fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" +
                   (last.method == "HEAD" ? "" : text));
}

void World::step(char op, std::string_view data) {
  Client &client = clients_[current_];
  Peer *upstream = peer();
  switch (op) {
  case 'c': // the client says something
    send(client.fd, data);
    client.sent.append(data);
    break;
  case 'b': // byte by byte
    return bytewise(client.fd, data, &client.sent);
  case 'u': // the upstream says something
    if (upstream != nullptr) send(upstream->fd, data);
    break;
  case 'v':
    return bytewise(upstream != nullptr ? upstream->fd : -1, data, nullptr);
  case 'a':
    answer();
    break;
  case 'H': // half-closes, and whole ones
    if (client.fd >= 0) ::shutdown(client.fd, SHUT_WR);
    break;
  case 'X':
    closeFd(client.fd);
    break;
  case 'h':
    if (upstream != nullptr && upstream->fd >= 0) ::shutdown(upstream->fd, SHUT_WR);
    break;
  case 'x':
    if (upstream != nullptr) closeFd(upstream->fd);
    break;
  case 'n':
    return addClient();
  case 'o': // the other client
    current_ = (current_ + 1) % clients_.size();
    return;
  case 'p': // the other connection
    if (!peers_.empty()) peer_ = (peer_ + 1) % peers_.size();
    return;
  case 'r': // what is held goes on
    loop_->resume(client.held, [this](ClientExchange &held) { held.forward(toFirst_, UINT64_MAX, nullptr); });
    break;
  case 'R': // whose body was not taken any further is
    loop_->resume(client.held, [](ClientExchange &held) { held.readBody(512); });
    break;
  case 'W': // what is held is answered in pieces
    loop_->resume(client.held, [&client, text = std::string(data)](ClientExchange &held) {
      held.begin({200, "text/plain", {}});
      client.observed.back().written += text;
      held.write(text);
    });
    break;
  case 'E':
    loop_->resume(client.held, [](ClientExchange &held) { held.end(); });
    break;
  case 'q': // the name of the first upstream is known, for a second
    names_->answer({{first_.address()}, std::chrono::seconds(1)});
    break;
  case 'Q': // or it is not
    names_->answer({{}, {}, "no such name", !data.empty()});
    break;
  case 'z': // clients stop reading, or begin again
    reading_ = !reading_;
    break;
  case 't': // time passes
    return pass(data.empty() ? 300 : 300 * (1 + (data.front() & 15)));
  default:
    return;
  }
  turn(3);
}

void World::end() {
  reading_ = true;
  turn(3);
  for (Client &client : clients_)
    closeFd(client.fd);
  for (Peer &peer : peers_)
    closeFd(peer.fd);
  turn(3);
  for (Peer &peer : peers_)
    closeFd(peer.fd);
  // A request whose buffer is full is not read from until its time has passed: that too is an end.
  for (int i = 0; i < kMostTurns && loop_->connections() != 0; ++i) {
    for (Peer &peer : peers_)
      closeFd(peer.fd);
    pass(250);
  }
  require(loop_->connections() == 0, "a connection that does not end");
  loop_->upstreams().clear();
  names_->answer({{}, {}, "it is over"});
  turn(1);
  for (Peer &peer : peers_)
    closeFd(peer.fd);
}

/// What the client said, by the second opinion: the engine has to have seen the same requests, as far as both go.
std::vector<Message> World::checkRequests(const Client &client) {
  bool clean = true;
  auto said = readCleanRequests(client.sent, clean);
  for (std::size_t i = 0; i < std::min(said.size(), client.targets.size()); ++i) {
    if (said[i].target.empty()) continue; // its first line has not come
    require(said[i].method == client.methods[i] && said[i].target == client.targets[i], "a request that nobody sent");
    const std::string &shown = client.observed[i].request;
    if (said[i].whole) require(said[i].body.compare(0, shown.size(), shown) == 0, "another body than was sent");
  }
  if (clean) require(client.targets.size() <= said.size(), "more requests than were sent");
  return said;
}

/// What has arrived is what was sent, body and all, and where it belongs.
void World::checkUpstreams(const std::vector<Peer> &peers, const std::vector<Client> &clients,
                           const std::vector<std::vector<Message>> &said) {
  for (const Peer &peer : peers) {
    for (const Message &request : readRequests(peer.received, kSeq)) {
      if (!request.whole) continue;
      require((request.target.substr(0, 2) == "/2") == peer.second, "a request at the wrong upstream");
      const std::string name = request.field(kSeq);
      const std::size_t dot = name.find('.');
      require(dot != std::string::npos, "a request that nobody sent");
      const std::size_t who = std::stoul(name);
      const std::size_t which = std::stoul(name.substr(dot + 1));
      require(who < clients.size() && which < clients[who].targets.size(), "a request that nobody sent");
      require(request.method == clients[who].methods[which] && request.target == clients[who].targets[which],
              "another request than was sent");
      if (who >= said.size() || which >= said[who].size() || !said[who][which].whole) continue;
      require(request.body == said[who][which].body, "another body than was sent");
    }
  }
}

/// An observer has seen what came to the client, and perhaps more that did not reach it.
void World::checkObserved(const Observed &observed, const Message &answer) {
  require(observed.ends <= 1, "an answer that ended twice");
  if (observed.ends == 0) return; // the answer was our own
  require(observed.response.compare(0, answer.body.size(), answer.body) == 0, "a body that was not shown");
  if (observed.complete && answer.whole) require(observed.response == answer.body, "more was shown than was sent");
}

/// An answer of our own in pieces is what was written, or its beginning when it was broken off.
void World::checkOwn(const Client &client, std::size_t which, const Message &answer) {
  const Observed &observed = client.observed[which];
  if (client.methods[which] == "HEAD") return;
  if (client.targets[which] == "/echo") {
    require(observed.request.compare(0, answer.body.size(), answer.body) == 0, "an echo of something else");
    if (answer.whole) require(observed.request == answer.body, "an echo that is not whole");
  } else if (client.targets[which] == "/held" && !observed.written.empty()) {
    require(observed.written.compare(0, answer.body.size(), answer.body) == 0, "pieces that nobody wrote");
  }
}

void World::checkClient(std::size_t index, const Client &client) const {
  const auto answers = readResponses(client.received, client.methods, client.ended);
  std::size_t finals = 0;
  for (const Message &answer : answers) {
    if (answer.status < 200) continue;
    const std::size_t at = answer.body.find(nonce_);
    const std::string expected = nonce_ + std::to_string(index) + "." + std::to_string(finals) + ";";
    if (at != std::string::npos)
      require(expected.substr(0, answer.body.size() - at) == answer.body.substr(at, expected.size()),
              "somebody else's answer");
    if (finals < client.observed.size()) checkObserved(client.observed[finals], answer);
    if (finals < client.targets.size() && answer.status == 200) checkOwn(client, finals, answer);
    ++finals;
  }
  require(finals <= client.methods.size() + client.refused, "more answers than requests");
  require(client.refused <= 1, "a connection that was refused twice");
}

void World::play(std::string_view input) {
  const unsigned variant = input.empty() ? 0 : static_cast<unsigned char>(input.front());
  if (!input.empty()) input.remove_prefix(1);
  nonce_ = "@" + std::to_string(std::hash<std::string_view>{}(input)) + ":";
  begin(variant);
  while (!input.empty()) {
    const std::size_t mark = input.find(kMark);
    const std::string_view part = input.substr(0, mark);
    input.remove_prefix(mark == std::string_view::npos ? input.size() : mark + 1);
    if (!part.empty()) step(part.front(), part.substr(1));
  }
  end();
  const auto clients = std::exchange(clients_, {});
  const auto peers = std::exchange(peers_, {});
  if ((variant & 4U) != 0) return; // behind a preface it is not known whose session it is
  std::vector<std::vector<Message>> said;
  for (const Client &client : clients)
    said.push_back(checkRequests(client));
  checkUpstreams(peers, clients, said);
  for (std::size_t i = 0; i < clients.size(); ++i)
    checkClient(i, clients[i]);
}

} // namespace

void checkExchange(std::string_view input) {
  static World world;
  world.play(input);
}

} // namespace matrixos::http::fuzz
