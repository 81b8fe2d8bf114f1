package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// envelope is what every line is.
type envelope struct {
	Type      string `json:"type"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// request is a line from a client; its data is read when the type is known.
type request struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type progress struct {
	MangaID        string `json:"manga_id"`
	MangaTitle     string `json:"manga_title"`
	CurrentChapter *int   `json:"current_chapter"`
	Chapter        *int   `json:"chapter"`
	Status         string `json:"status"`
}

type broadcast struct {
	UserID         string  `json:"user_id"`
	Username       string  `json:"username"`
	MangaID        string  `json:"manga_id"`
	MangaTitle     string  `json:"manga_title"`
	CurrentChapter int     `json:"current_chapter"`
	ChapterExact   float64 `json:"chapter_exact"`
	Status         string  `json:"status"`
	Stored         bool    `json:"stored"`
	Seq            int     `json:"seq"`
	Timestamp      string  `json:"timestamp"`
}

// answer is what a line is answered with, and whether everybody hears it.
func answer(who claims, line []byte, now time.Time) (answer []byte, everybody bool) {
	var request request
	if err := json.Unmarshal(line, &request); err != nil || request.Type == "" {
		return refuse("INVALID_MESSAGE", "not a JSON object with a type", now), false
	}
	switch request.Type {
	case "ping":
		return pong(request.Data, now), false
	case "progress":
		return tell(who, request.Data, now)
	default:
		return refuse("UNKNOWN_MESSAGE_TYPE", "no such type", now), false
	}
}

func pong(data json.RawMessage, now time.Time) []byte {
	var ping struct {
		ClientTime json.RawMessage `json:"client_time,omitempty"`
	}
	if len(data) > 0 && json.Unmarshal(data, &ping) != nil {
		return refuse("INVALID_DATA", "data: must be an object", now)
	}
	return encode("pong", now, struct {
		ServerTime string          `json:"server_time"`
		ClientTime json.RawMessage `json:"client_time,omitempty"`
	}{stamp(now), ping.ClientTime})
}

// tell is the broadcast of a progress update.
func tell(who claims, data json.RawMessage, now time.Time) (answer []byte, everybody bool) {
	var update progress
	if err := json.Unmarshal(data, &update); err != nil || update.MangaID == "" {
		return refuse("INVALID_DATA", "manga_id: required", now), false
	}
	chapter := update.CurrentChapter
	if chapter == nil {
		chapter = update.Chapter
	}
	if chapter == nil || *chapter < 0 {
		return refuse("INVALID_DATA", "chapter: required", now), false
	}
	if update.Status == "" {
		update.Status = "reading"
	}
	return encode("broadcast", now, broadcast{
		UserID:         who.UserID,
		Username:       who.Username,
		MangaID:        update.MangaID,
		MangaTitle:     update.MangaTitle,
		CurrentChapter: *chapter,
		ChapterExact:   float64(*chapter),
		Status:         update.Status,
		Timestamp:      stamp(now),
	}), true
}

// authenticate is who the first line says its sender is.
func authenticate(line []byte, secret []byte, now time.Time) (claims, error) {
	var request struct {
		Type string `json:"type"`
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(line, &request); err != nil {
		return claims{}, errors.New("not a message")
	}
	if request.Type != "auth" {
		return claims{}, errors.New("Authentication required")
	}
	return verify(request.Data.Token, secret, now)
}

func authSuccess(who claims, now time.Time) []byte {
	var session [16]byte
	rand.Read(session[:])
	return encode("auth_success", now, map[string]string{
		"session_id": hex.EncodeToString(session[:]),
		"user_id":    who.UserID,
		"username":   who.Username,
		"message":    "Authentication successful",
	})
}

func authFailed(reason string, now time.Time) []byte {
	return encode("auth_failed", now, map[string]string{"reason": reason})
}

func refuse(code, message string, now time.Time) []byte {
	data := map[string]string{"code": code, "message": message}
	return line(envelope{Type: "error", Code: code, Message: message, Timestamp: stamp(now), Data: data})
}

func encode(kind string, now time.Time, data any) []byte {
	return line(envelope{Type: kind, Timestamp: stamp(now), Data: data})
}

// line is the message with its newline. What we put into it can always be said in JSON.
func line(message envelope) []byte {
	bytes, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return append(bytes, '\n')
}

func stamp(now time.Time) string {
	return now.UTC().Format("2006-01-02T15:04:05.000Z")
}
