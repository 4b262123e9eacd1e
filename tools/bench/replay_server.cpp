#include "tools/bench/replay_server.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace towline::bench {
namespace {

// An id is the descriptor in the low half and a count in the high half, so that a late answer never reaches a later
// connection.
int fd_of(std::uint64_t id) { return static_cast<int>(id & 0xffffffff); }

}  // namespace

int ReplayServer::run() {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 512) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("listen");
    return 1;
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  poll_ = epoll_create1(0);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN, static_cast<std::uint64_t>(listener));
  std::vector<epoll_event> events(256);
  while (true) {
    int n = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), wait_ms());
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == static_cast<std::uint64_t>(listener)) {
        accept_all(listener);
      } else {
        serve(event.data.u64, event.events);
      }
    }
    send_due();
  }
}

void ReplayServer::watch(int operation, int fd, std::uint32_t what, std::uint64_t id) {
  epoll_event event{};
  event.events = what;
  event.data.u64 = id;
  epoll_ctl(poll_, operation, fd, &event);
}

int ReplayServer::wait_ms() const {
  if (late_.empty()) {
    return -1;
  }
  auto left = std::chrono::ceil<std::chrono::milliseconds>(late_.top().due - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

void ReplayServer::accept_all(int listener) {
  int fd;
  while ((fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::uint64_t id = (++count_ << 32) | static_cast<std::uint32_t>(fd);
    connections_.emplace(id, Connection{});
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, id);
  }
}

void ReplayServer::close_connection(std::uint64_t id) {
  close(fd_of(id));
  connections_.erase(id);
}

void ReplayServer::serve(std::uint64_t id, std::uint32_t events) {
  auto found = connections_.find(id);
  if (found == connections_.end()) {
    return;
  }
  if ((events & EPOLLOUT) != 0 && !flush(id, found->second)) {
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    char buffer[1 << 16];
    ssize_t n;
    while ((n = read(fd_of(id), buffer, sizeof buffer)) > 0) {
      found->second.in.append(buffer, static_cast<std::size_t>(n));
    }
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
      close_connection(id);
      return;
    }
    requests(id, found->second);
  }
}

void ReplayServer::requests(std::uint64_t id, Connection& connection) {
  while (true) {
    std::size_t head = connection.in.find("\r\n\r\n");
    if (head == std::string::npos) {
      return;
    }
    std::size_t length = 0;
    for (std::string_view name : {"\r\ncontent-length:", "\r\nContent-Length:"}) {
      std::size_t at = connection.in.find(name);
      if (at < head) {
        length = std::strtoul(connection.in.c_str() + at + name.size(), nullptr, 10);
      }
    }
    if (connection.in.find("\r\nExpect: 100-continue") < head && connection.in.size() == head + 4 && length > 0) {
      constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
      (void)!write(fd_of(id), kGoOn.data(), kGoOn.size());
      connection.in.erase(connection.in.find("\r\nExpect: 100-continue"), 24);
      return;
    }
    if (connection.in.size() < head + 4 + length) {
      return;
    }
    Answer answer = answerer_(std::string_view(connection.in).substr(head + 4, length));
    connection.in.erase(0, head + 4 + length);
    auto bytes = std::make_shared<std::string>("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                                               std::to_string(answer.body.size()) + "\r\n\r\n");
    *bytes += answer.body;
    late_.push({Clock::now() + answer.after, id, std::move(bytes)});
  }
}

void ReplayServer::send_due() {
  while (!late_.empty() && late_.top().due <= Clock::now()) {
    Late due = late_.top();
    late_.pop();
    auto found = connections_.find(due.connection);
    if (found != connections_.end()) {
      if (found->second.out.empty()) {
        found->second.out.swap(*due.bytes);
      } else {
        found->second.out += *due.bytes;
      }
      flush(due.connection, found->second);
    }
  }
}

bool ReplayServer::flush(std::uint64_t id, Connection& c) {
  while (c.sent < c.out.size()) {
    ssize_t n = write(fd_of(id), c.out.data() + c.sent, c.out.size() - c.sent);
    if (n < 0) {
      if (errno == EAGAIN) {
        watch(EPOLL_CTL_MOD, fd_of(id), EPOLLIN | EPOLLOUT, id);
        return true;
      }
      close_connection(id);
      return false;
    }
    c.sent += static_cast<std::size_t>(n);
  }
  c.out.clear();
  c.sent = 0;
  watch(EPOLL_CTL_MOD, fd_of(id), EPOLLIN, id);
  return true;
}

}  // namespace towline::bench
