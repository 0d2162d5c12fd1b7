package server

// NewReplica returns a replica's name from a host name and random letters.
var NewReplica = newReplica

// ClosePublic closes the socket of the public listener.
func ClosePublic(s *Server) error { return s.public.Close() }
