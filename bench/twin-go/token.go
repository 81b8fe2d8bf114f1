package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// claims is what a token says of whoever shows it.
type claims struct {
	UserID   string `json:"user_id"`
	Username string `json:"username"`
	Issuer   string `json:"iss"`
	Expires  int64  `json:"exp"`
}

// verify checks a JSON Web Token, HS256 and nothing else, and returns what it says.
func verify(token string, secret []byte, now time.Time) (claims, error) {
	var who claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return who, errors.New("not a token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return who, errors.New("not a token")
	}
	signer := hmac.New(sha256.New, secret)
	signer.Write([]byte(parts[0] + "." + parts[1]))
	if !hmac.Equal(signature, signer.Sum(nil)) {
		return who, errors.New("wrong signature")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if decode(parts[0], &header) != nil || header.Algorithm != "HS256" || decode(parts[1], &who) != nil {
		return who, errors.New("not a token")
	}
	if who.UserID == "" || who.Issuer != "mangahub" || now.Unix() >= who.Expires {
		return who, errors.New("the token has expired, or is not ours")
	}
	return who, nil
}

func decode(part string, into any) error {
	bytes, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes, into)
}
