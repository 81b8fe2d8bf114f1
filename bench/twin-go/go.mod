module mangahub.example/twin-go

go 1.21
