package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

const (
	ttlHeader   = "X-aliyun-ecs-metadata-token-ttl-seconds"
	tokenHeader = "X-aliyun-ecs-metadata-token"
	maxTTL      = 21600
)

// Reach says whether a machine may open a connection to "host:port".
func (s *Server) Reach(id, address string) error {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("address " + address + ": the port is not a number")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.region.Reach(id, host, port)
}

// Metadata is the metadata service as one machine sees it.
func (s *Server) Metadata(id string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		m, ok := s.region.Metadata(id)
		s.mu.Unlock()
		switch {
		case !ok:
			http.Error(w, "no such instance", http.StatusNotFound)
		case !m.Enabled:
			http.Error(w, "the metadata service of this instance is off", http.StatusForbidden)
		case r.URL.Path == "/latest/api/token":
			s.metadataToken(w, r, id)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		case r.Header.Get(tokenHeader) == "" && m.TokenRequired:
			http.Error(w, "a token is required", http.StatusForbidden)
		case r.Header.Get(tokenHeader) != "" && !s.tokenGood(r.Header.Get(tokenHeader), id):
			http.Error(w, "the token is not valid", http.StatusForbidden)
		default:
			s.serveMetadata(w, r, m)
		}
	})
}

func (s *Server) metadataToken(w http.ResponseWriter, r *http.Request, id string) {
	if r.Method != http.MethodPut {
		http.Error(w, "ask for a token by PUT", http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("X-Forwarded-For") != "" {
		http.Error(w, "not through a proxy", http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTTL {
		http.Error(w, fmt.Sprintf("the header %s is from 1 to %d", ttlHeader, maxTTL), http.StatusBadRequest)
		return
	}
	end := s.o.Now().Add(time.Duration(ttl) * time.Second)
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	_, _ = io.WriteString(w, s.tokenFor(id, end.Unix()))
}

// tokenFor makes a token that says by itself whose it is and until when.
func (s *Server) tokenFor(id string, end int64) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(end))
	h := hmac.New(sha256.New, s.identity.metadata)
	h.Write(b)
	h.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(b))
}

func (s *Server) tokenGood(token, id string) bool {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return false
	}
	end := int64(binary.BigEndian.Uint64(b[:8]))
	return hmac.Equal([]byte(token), []byte(s.tokenFor(id, end))) && s.o.Now().Unix() < end
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request, m region.Metadata) {
	path := strings.TrimPrefix(strings.Trim(r.URL.Path, "/"), "latest/")
	w.Header().Set("Content-Type", "text/plain")
	switch path {
	case "user-data":
		if len(m.UserData) == 0 {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(m.UserData)
	case "dynamic/instance-identity/document":
		_, _ = w.Write(m.Document)
	case "dynamic/instance-identity/pkcs7":
		s.servePKCS7(w, r, m)
	case "meta-data":
		_, _ = io.WriteString(w, strings.Join(m.Names(), "\n"))
	default:
		name, ok := strings.CutPrefix(path, "meta-data/")
		v, has := m.Values[name]
		if !ok || !has {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, v)
	}
}

// servePKCS7 signs the document with the audience put before its closing brace.
func (s *Server) servePKCS7(w http.ResponseWriter, r *http.Request, m region.Metadata) {
	text := m.Document
	if audience := r.URL.Query().Get("audience"); audience != "" {
		if strings.ContainsAny(audience, "\"\\") || len(audience) > 1024 {
			http.Error(w, "the audience holds a quotation mark or is too long", http.StatusBadRequest)
			return
		}
		text = []byte(strings.TrimSuffix(string(m.Document), "}") + `,"audience":"` + audience + `"}`)
	}
	signature, err := s.identity.sign(text)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, signature)
}
