#include "Visitor.h"

#include "Stamp.h"

#include <sys/socket.h>

#include <thread>

namespace matrixos::test {

void Visits::complain(const std::string &what) {
  ++wrong;
  const std::lock_guard lock(mutex_);
  if (first_.empty()) first_ = what;
}

void Visits::noteBoot(const std::string &boot) {
  const std::lock_guard lock(mutex_);
  boots_.insert(boot);
}

std::size_t Visits::boots() const {
  const std::lock_guard lock(mutex_);
  return boots_.size();
}

std::string Visits::firstComplaint() const {
  const std::lock_guard lock(mutex_);
  return first_;
}

Visitor::Visitor(std::uint16_t port, std::vector<std::string> handles, unsigned seed, Visits &visits)
    : port_(port), handles_(std::move(handles)), seed_(seed), visits_(visits), random_(seed) {}

std::string Visitor::nonce() {
  return std::to_string(seed_) + "." + std::to_string(++requests_);
}

void Visitor::visit() {
  try {
    switch (pick(20)) {
    case 0:
      return giveUp();
    case 1:
    case 2:
      return webSocket();
    case 3:
    case 4:
      return exchange({make(), make()});
    default:
      return exchange({make()});
    }
  } catch (const std::exception &) { // no connection, or no sense in what came
    connection_.reset();
    ++visits_.broken;
  }
}

Visitor::Request Visitor::make() {
  const std::string &handle = handles_[pick(handles_.size())];
  const bool gateway = pick(2) == 0, byPath = pick(4) == 0;
  const std::string number = nonce();
  Request out;
  out.stamp = handle + (gateway ? "/gateway " : "/shell ") + number;
  out.handle = handle;
  out.lines = pick(8) == 0 ? 1 + pick(8000) : 1 + pick(20);
  const std::string target = (byPath ? "/proxy/" + handle : "") + (gateway ? "/api/x" : "/x");
  const std::string fields =
      " HTTP/1.1\r\nHost: " + (byPath ? "localhost" : handle + ".localhost") + "\r\nX-For: " + handle +
      "\r\nX-Nonce: " + number + "\r\nX-Lines: " + std::to_string(out.lines) + "\r\n" +
      std::array{"", "X-Framing: chunked\r\n", "X-Framing: close\r\n", "X-Framing: length\r\n"}[pick(4)];
  const std::string body = stamped(handle + " " + number, pick(4) == 0 ? pick(4000) : pick(20));
  switch (pick(4)) {
  case 0:
    out.text = "POST " + target + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    break;
  case 1:
    out.text = "PUT " + target + fields + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(body, 3000);
    break;
  default:
    out.text = "GET " + target + fields + "\r\n";
  }
  return out;
}

void Visitor::exchange(const std::vector<Request> &requests) {
  if (!connection_) connection_ = std::make_unique<RawConnection>(port_);
  std::string all;
  for (const Request &request : requests)
    all += request.text;
  connection_->send(all);
  for (const Request &request : requests) {
    if (check(request, connection_->receiveResponse())) continue;
    connection_.reset();
    return;
  }
}

/// Counts an answer of the proxy itself, if it is one that it may give.
bool Visitor::takeRefusal(int status) {
  if (status >= 502 && status <= 504)
    ++visits_.unavailable;
  else if (status == 404 && visits_.mayBeGone)
    ++visits_.gone;
  else
    return false;
  return true;
}

/// False: the connection is of no use any more.
bool Visitor::check(const Request &request, const Response &response) {
  const auto field = [&](const char *name) {
    const auto found = response.headers.find(name);
    return found == response.headers.end() ? "" : found->second;
  };
  const std::string stamp = field("x-stamp");
  // What broke off must not hold a foreign byte either.
  if (!stamp.empty() && (stamp != request.stamp || !isStampedWith(response.body, request.stamp)))
    visits_.complain("asked for " + request.stamp + ", and got " + stamp + "\n" + response.body.substr(0, 300));
  if (response.status == 0) {
    ++visits_.broken;
    return false;
  }
  if (response.status == 200 && !stamp.empty()) {
    if (response.body.size() != (request.stamp.size() + 1) * request.lines)
      visits_.complain("half of " + request.stamp + " looked whole");
    ++visits_.whole;
    visits_.noteBoot(request.handle + field("x-boot"));
  } else if (!stamp.empty() || !takeRefusal(response.status)) {
    visits_.complain("asked for " + request.stamp + ", and got " + std::to_string(response.status) + "\n" +
                     response.body.substr(0, 300));
  }
  return field("connection") != "close";
}

void Visitor::webSocket() {
  const std::string &handle = handles_[pick(handles_.size())];
  const bool gateway = pick(2) == 0;
  const std::string endpoint = gateway ? "gateway " : "shell ";
  const std::string id = handle + " " + nonce();
  RawConnection socket(port_);
  socket.send("GET " + std::string(gateway ? "/ws" : "/shell-ws") + " HTTP/1.1\r\nHost: " + handle +
              ".localhost\r\nX-For: " + handle + "\r\nX-Nonce: " + id.substr(handle.size() + 1) +
              "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const Response response = socket.receiveResponse();
  if (response.status != 101) {
    if (response.status == 0)
      ++visits_.broken;
    else if (!takeRefusal(response.status))
      visits_.complain("a WebSocket for " + id + " was answered " + std::to_string(response.status));
    return;
  }
  for (int i = 0; i < 10; ++i) {
    const std::string text = id + " " + std::to_string(i), mask = "\x11\x22\x33\x44";
    std::string frame{'\x81', static_cast<char>(0x80U | text.size())};
    frame += mask;
    for (std::size_t at = 0; at < text.size(); ++at)
      frame += static_cast<char>(text[at] ^ mask[at % 4]);
    socket.send(frame);
    const std::string head = socket.receive(2);
    const bool closing = head.size() == 2 && head[0] == '\x88'; // the instance has gone: RFC 6455 §7.4.1, 1001
    const std::string expected = endpoint + text, answer = closing ? "" : socket.receive(expected.size());
    if (!expected.starts_with(answer)) visits_.complain("the frame " + text + " came back as " + answer);
    if (answer != expected) {
      ++visits_.broken;
      return;
    }
    ++visits_.frames;
  }
}

/// Leaves inside a request, or before its answer.
void Visitor::giveUp() {
  RawConnection connection(port_);
  const Request request = make();
  connection.send(request.text.substr(0, 1 + pick(request.text.size())));
  const linger now{1, 0};
  if (pick(2) == 0) ::setsockopt(connection.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void talk(std::uint16_t port, const std::vector<std::string> &handles, unsigned visitors, Visits &visits,
          std::size_t least, const std::function<bool()> &meanwhile) {
  std::atomic<std::size_t> done{0};
  std::atomic<bool> enough{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < visitors; ++i) {
    threads.emplace_back([&, i] {
      Visitor visitor(port, handles, i, visits);
      for (; !enough; ++done)
        visitor.visit();
    });
  }
  try {
    while ((meanwhile() || done < least) && visits.wrong == 0) {
    }
  } catch (const std::exception &e) {
    visits.complain(e.what());
  }
  enough = true;
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace matrixos::test
